//! The cells of a result file as CSV.

use crate::harmless::csv_field;
use crate::results::ResultFile;
use crate::results::column::Row;
use crate::results::row::CellRow;

/// One row per cell below a header with the names of the columns of `/cells`. Fields are quoted as in RFC 4180 and harmless.
/// Lines end with a line feed alone, as Unix tools expect. A missing value is an empty field.
pub fn csv(file: &ResultFile) -> String {
    let names: Vec<&str> = CellRow::COLUMNS.iter().map(|column| column.name).collect();
    let mut text = names.join(",") + "\n";
    for cell in &file.cells {
        let fields: Vec<String> = cell.texts().iter().map(|text| csv_field(text)).collect();
        text += &(fields.join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn rows_have_the_values_under_their_names() {
        let text = csv(&samples::file());
        let lines: Vec<&str> = text.lines().collect();
        // A header and four cells, one of which has a reason of two lines.
        assert_eq!(lines.len(), 5);
        assert!(lines[4].contains("\\n"), "{}", lines[4]);
        assert_eq!(
            lines[1],
            "0,0,0,sharded-direct,sharded,odd,1000003,f32,20,direct,0,back,default,4,1MiB,4,2,colocated,shared,client,assumed,warm,everywhere,resident,10,\
             0.012345,0.0121,0.0126,324018793.03361684,6480375860.672337,0.5,,,84000252,memory,0.0061725,,,1572864,,,,,,0,0,0,,,,\
             precise,1,10,2,false,0.25,6,0,,,,ok,,2097152,1048576,524288,0,1048576,524288,0,\
             false,,,,,false,,,,,true,0,0,0.0000001,0,flat server"
        );
        let names: Vec<&str> = lines[0].split(',').collect();
        let infeasible: Vec<&str> = lines[3].split(',').collect();
        // Counted from the end, as the quoted reason has a comma.
        let field = |name: &str| {
            infeasible[infeasible.len() - names.len() + names.iter().position(|other| *other == name).unwrap()]
        };
        assert_eq!((field("verified"), field("verification_max_ulp")), ("false", ""));
        assert!(lines[3].contains(",infeasible,\"needs 12 GiB, the ceiling is 1 GiB\","), "{}", lines[3]);
    }
}
