//! Enumerations whose variants are words of experiments, the command line and result files.

/// Defines such an enumeration. Its words are the names of the variants in kebab case; one variant is the default.
macro_rules! words {
    ($(#[$of:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
        #[serde(rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        pub enum $name { $($variants)* }
    };
}
pub(crate) use words;
