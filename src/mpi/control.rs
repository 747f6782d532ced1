//! The MPI library's control variables that choose the algorithm of a collective, through MPI's tool interface (MPI_T).

use std::ffi::{CStr, CString, c_char, c_int};

use mpi_sys as ffi;

use super::error::{Result, call, text_of};
use super::version::library_version;

/// The environment variable without which Open MPI ignores forced algorithms. Its own choices stay the same where none is
/// forced.
pub(super) const OPEN_MPI_SWITCH: &str = "OMPI_MCA_coll_tuned_use_dynamic_rules";

/// Bytes of the longest name and of the longest description of a variable.
const NAME: usize = 512;
const DESCRIPTION: usize = 1 << 16;

/// A control variable that is one C int.
struct Variable(ffi::MPI_T_cvar_handle);

impl Variable {
    /// Binds variable `index`.
    fn bound(index: c_int) -> Result<Variable> {
        let (mut handle, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: the index is the library's, the variable is bound to no object, and results are written to locals.
        unsafe { call!(MPI_T_cvar_handle_alloc, index, std::ptr::null_mut(), &mut handle, &mut count) }?;
        Ok(Variable(handle))
    }

    fn write(&self, value: c_int) -> Result {
        // SAFETY: the variable is one C int.
        unsafe { call!(MPI_T_cvar_write, self.0, (&raw const value).cast()) }
    }

    fn read(&self) -> Result<c_int> {
        let mut value: c_int = 0;
        // SAFETY: the variable is one C int.
        unsafe { call!(MPI_T_cvar_read, self.0, (&raw mut value).cast()) }?;
        Ok(value)
    }
}

impl Drop for Variable {
    fn drop(&mut self) {
        // SAFETY: the handle is valid, and nobody uses it later. A failure only leaks it.
        unsafe { ffi::MPI_T_cvar_handle_free(&mut self.0) };
    }
}

/// The control variables that choose the algorithm of one MPI function.
pub struct AlgorithmControl {
    algorithm: Variable,
    /// The length of segments in bytes, with its value before anything was chosen; None if the library has no such
    /// variable.
    segment: Option<(Variable, c_int)>,
    /// The algorithms that the library has, with the values that choose them. The value of its own choice, 0 in all
    /// libraries, is not among them.
    algorithms: Vec<(String, c_int)>,
    at_each_call: bool,
    component: Option<&'static str>,
}

impl AlgorithmControl {
    /// The variable for `function`, such as `MPI_Reduce_scatter`; None if the library has none.
    pub fn of(function: &str) -> Result<Option<AlgorithmControl>> {
        let function = function.trim_start_matches("MPI_");
        let (lower, upper) = (function.to_lowercase(), function.to_uppercase());
        // Open MPI fixes the algorithm when a communicator is made; MPICH looks at each call.
        let names = [
            (format!("coll_tuned_{lower}_algorithm"), Some("tuned")),
            (format!("coll_libnbc_{lower}_algorithm"), Some("libnbc")),
            (format!("MPIR_CVAR_{upper}_INTRA_ALGORITHM"), None),
        ];
        for (name, component) in names {
            let Some(index) = index_of(&name) else { continue };
            let segment = index_of(&format!("{name}_segmentsize")).map(|index| {
                let variable = Variable::bound(index)?;
                let usual = variable.read()?;
                Ok((variable, usual))
            });
            return Ok(Some(AlgorithmControl {
                algorithm: Variable::bound(index)?,
                segment: segment.transpose()?,
                algorithms: algorithms(index)?,
                at_each_call: component.is_none(),
                component,
            }));
        }
        Ok(None)
    }

    /// The names of the library's algorithms.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.algorithms.iter().map(|(name, _)| name.as_str())
    }

    /// The value that chooses `algorithm`.
    pub fn value(&self, algorithm: &str) -> Option<i32> {
        self.algorithms.iter().find(|(name, _)| name == algorithm).map(|(_, value)| *value)
    }

    /// True if the library reads the variable at each call, false if only when a communicator is made.
    pub fn at_each_call(&self) -> bool {
        self.at_each_call
    }

    /// The library's component whose algorithms these are; None if the library has no components.
    pub fn component(&self) -> Option<&'static str> {
        self.component
    }

    /// Chooses an algorithm by its value. 0 leaves the choice to the library again.
    pub fn write(&self, value: i32) -> Result {
        self.algorithm.write(value)
    }

    /// True if the length of segments can be chosen.
    pub fn has_segments(&self) -> bool {
        self.segment.is_some()
    }

    /// Chooses the length of segments, bytes. None leaves it to the library again.
    pub fn write_segment(&self, bytes: Option<u64>) -> Result {
        let Some((variable, usual)) = &self.segment else { return Ok(()) };
        variable.write(bytes.map_or(*usual, |bytes| c_int::try_from(bytes).unwrap_or(c_int::MAX)))
    }
}

/// The library's number of a variable; None if it has no variable of this name.
fn index_of(name: &str) -> Option<c_int> {
    let name = CString::new(name).ok()?;
    let mut index = 0;
    // SAFETY: the name ends with a zero byte. The library returns an error for a name that it does not know.
    let code = unsafe { ffi::MPI_T_cvar_get_index(name.as_ptr(), &mut index) };
    (code == 0).then_some(index)
}

/// Components of Open MPI that sum nothing over the ranks of one communicator.
const WITHOUT_SUMS: [&str; 8] = ["accelerator", "cuda", "demo", "ftagree", "inter", "monitoring", "self", "sync"];

/// The components of the library's collectives that a new communicator can prefer, by name, of those that were built and not
/// excluded. Empty for Open MPI before 4.1, which has no preference, and for libraries without components.
pub fn components() -> Result<Vec<String>> {
    if !has_preference(&library_version()?) {
        return Ok(Vec::new());
    }
    let mut count = 0;
    // SAFETY: the result is written to a local.
    unsafe { call!(MPI_T_cvar_get_num, &mut count) }?;
    let names = (0..count).filter_map(name_of);
    let component = |name: String| {
        let component = name.strip_prefix("coll_")?.strip_suffix("_priority")?;
        (!component.contains('_') && !WITHOUT_SUMS.contains(&component)).then(|| component.to_owned())
    };
    let mut found: Vec<String> = names.filter_map(component).collect();
    found.sort();
    Ok(found)
}

/// True for Open MPI from 4.1 on.
fn has_preference(version: &str) -> bool {
    let number = version.strip_prefix("Open MPI v").unwrap_or_default();
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (4, 1)
}

/// The name of variable `index`; None if the library has withdrawn the variable.
fn name_of(index: c_int) -> Option<String> {
    let (mut name, mut length) = (vec![0 as c_char; NAME], NAME as c_int);
    let (mut verbosity, mut bind, mut scope, mut no_text) = (0, 0, 0, 0);
    let (nowhere, nothing) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the length is that of the buffer; MPI_T leaves out what would go to a null pointer.
    let code = unsafe {
        let mut datatype = ffi::RSMPI_DATATYPE_NULL;
        let (name, length, datatype) = (name.as_mut_ptr(), &mut length, &mut datatype);
        let (verbosity, bind, scope) = (&mut verbosity, &mut bind, &mut scope);
        ffi::MPI_T_cvar_get_info(index, name, length, verbosity, datatype, nothing, nowhere, &mut no_text, bind, scope)
    };
    (code == 0).then(|| text_of(&name, length))
}

/// The algorithms that variable `index` names, each with its value: from its enumeration, or where it has none, from its
/// description.
fn algorithms(index: c_int) -> Result<Vec<(String, c_int)>> {
    let (mut name, mut name_length) = (vec![0 as c_char; NAME], NAME as c_int);
    let (mut text, mut text_length) = (vec![0 as c_char; DESCRIPTION], DESCRIPTION as c_int);
    let (mut verbosity, mut bind, mut scope) = (0, 0, 0);
    // SAFETY: MPI_DATATYPE_NULL is a constant of the library; the lengths are those of the buffers.
    let named = unsafe {
        let mut datatype = ffi::RSMPI_DATATYPE_NULL;
        let mut named: ffi::MPI_T_enum = std::ptr::null_mut();
        call!(
            MPI_T_cvar_get_info,
            index,
            name.as_mut_ptr(),
            &mut name_length,
            &mut verbosity,
            &mut datatype,
            &mut named,
            text.as_mut_ptr(),
            &mut text_length,
            &mut bind,
            &mut scope
        )?;
        named
    };
    if named.is_null() {
        // SAFETY: the library ends the text with a zero byte.
        return Ok(described(&unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy()));
    }
    let mut count = 0;
    // SAFETY: the enumeration is the library's; the lengths are those of the buffers.
    unsafe {
        name_length = NAME as c_int;
        call!(MPI_T_enum_get_info, named, &mut count, name.as_mut_ptr(), &mut name_length)?;
    }
    let mut found = Vec::new();
    for item in 0..count {
        let mut value = 0;
        name_length = NAME as c_int;
        // SAFETY: as above; the library ends the name with a zero byte.
        let name = unsafe {
            call!(MPI_T_enum_get_item, named, item, &mut value, name.as_mut_ptr(), &mut name_length)?;
            CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned()
        };
        if value != 0 {
            found.push((name, value));
        }
    }
    Ok(found)
}

/// The algorithms in a description by MPICH: `auto - Internal algorithm selection (…)`, then `name - Force …` for each
/// value from 1. MPICH leaves the line breaks between them out, so that a name may follow the word `algorithm` at once.
fn described(text: &str) -> Vec<(String, c_int)> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(" - ") {
        let before = text[..at].trim_end();
        let starts = before.rfind(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let name = &before[starts.map_or(0, |start| start + 1)..];
        names.push(name.strip_prefix("algorithms").or(name.strip_prefix("algorithm")).unwrap_or(name).to_owned());
    }
    if names.first().is_none_or(|first| first != "auto") || names.iter().any(String::is_empty) {
        return Vec::new();
    }
    names.into_iter().zip(0..).skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithms_of_a_description_without_line_breaks_are_found() {
        let text = "Variable to select reduce_scatter algorithmauto - Internal algorithm selection (can be overridden with \
                    MPIR_CVAR_COLL_SELECTION_TUNING_JSON_FILE)nb                 - Force nonblocking algorithmpairwise      \
                    - Force pairwise algorithm\nrecursive_halving  - Force recursive halving algorithm";
        let found = described(text);
        let expected = [("nb", 1), ("pairwise", 2), ("recursive_halving", 3)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(described("Algorithm of reduce, 1: binomial").is_empty());
    }

    #[test]
    fn open_mpi_takes_a_preference_from_4_1_on() {
        let has = ["Open MPI v4.1.4", "Open MPI v5.0.11", "Open MPI v10.0.0rc1"].map(has_preference);
        let has_not = ["Open MPI v4.0.7", "Open MPI v3.1.6", "MPICH Version: 5.0.2", ""].map(has_preference);
        assert_eq!((has, has_not), ([true; 3], [false; 4]));
    }
}
