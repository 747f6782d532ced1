//! Gradients in numpy's npy files: a one-dimensional file for each client, or one file of shape \[clients, elements\].

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::MOST_CLIENTS;
use super::stored::{StoredFile, StoredGradients, StoredPlace, StoredRun};
use super::weights::{self, Weights};
use crate::gradient::{Dtype, Range, SourceError};

/// Greatest length of a header that is read, bytes: the greatest of format 1. Numpy itself reads 10,000.
const LONGEST_HEADER: u32 = 0xffff;

/// The contents of a file's header.
struct NpyFile {
    dtype: Dtype,
    shape: Vec<u64>,
    /// Number of bytes before the first element.
    offset: u64,
}

/// Opens the gradients in `files`: one file of shape \[clients, elements\], or a one-dimensional file for each client in
/// order. The default weight is 1.
pub fn open(files: &[PathBuf], asked: &Weights) -> Result<StoredGradients, SourceError> {
    let Some(first_path) = files.first() else {
        return Err(SourceError::Request("no npy file was given".into()));
    };
    let first = header(first_path)?;
    let elements = first.shape[first.shape.len() - 1];
    let client = |file: usize, offset: u64| {
        (file, StoredPlace::Runs(vec![StoredRun { range: Range::new(0, elements), offset }]))
    };
    let mut clients = Vec::new();
    if let (&[rows, _], [_]) = (&first.shape[..], files) {
        let stride = elements * first.dtype.size() as u64;
        clients.extend((0..rows).map(|row| client(0, first.offset + row * stride)));
        if clients.is_empty() {
            return Err(SourceError::content(first_path, "holds no client: its shape begins with 0"));
        }
    } else {
        for (index, path) in files.iter().enumerate() {
            let header = header(path)?;
            let problem = if header.shape.len() != 1 {
                format!("has shape {:?}; where there is a file a client, each has one dimension", header.shape)
            } else if header.dtype != first.dtype {
                let (dtype, expected) = (header.dtype, first.dtype);
                format!("stores {dtype}, but {} stores {expected}; all must be alike", first_path.display())
            } else if header.shape[0] != elements {
                let (own, first) = (header.shape[0], first_path.display());
                format!("has {own} elements, but {first} has {elements}; all clients must have as many")
            } else {
                clients.push(client(index, header.offset));
                continue;
            };
            return Err(SourceError::content(path, problem));
        }
    }
    let found = vec![None; clients.len()];
    let weights = weights::asked_or_found(asked, &found, |client| {
        SourceError::Request(format!("client {client}: npy files hold no weights; give them in the experiment"))
    })?;
    let files = files.iter().map(|path| StoredFile::new(path)).collect();
    Ok(StoredGradients { files, clients, dtype: first.dtype, elements, weights })
}

/// Reads the header of `path` and checks that the array may hold gradients: one or two dimensions, little-endian
/// floats, row-major order, and a size that matches the file's length.
fn header(path: &Path) -> Result<NpyFile, SourceError> {
    let io = |cause| SourceError::io(path, cause);
    let wrong = |problem: String| SourceError::content(path, problem);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let claimed = claimed_header(&file).map_err(io)?;
    if claimed > LONGEST_HEADER {
        return Err(wrong(format!("claims a header of {claimed} bytes; there may be {LONGEST_HEADER}")));
    }
    let mut reader = BufReader::new(file);
    let header = NpyHeader::from_reader(&mut reader).map_err(|cause| wrong(format!("is no npy file: {cause}")))?;
    let offset = reader.stream_position().map_err(io)?;
    let dtype = element_type(&header.dtype()).map_err(wrong)?;
    let shape = header.shape().to_vec();
    if !matches!(shape.len(), 1 | 2) {
        return Err(wrong(format!("has shape {shape:?}; it must be [elements] or [clients, elements]")));
    }
    if shape.len() == 2 && header.order() == Order::Fortran {
        return Err(wrong(
            "is stored column by column (fortran_order), so that no client lies in one piece; save \
             numpy.ascontiguousarray of it"
                .into(),
        ));
    }
    if shape.len() == 2 && shape[0] > MOST_CLIENTS {
        return Err(wrong(format!("claims shape {shape:?}; there may be {MOST_CLIENTS} clients")));
    }
    let data = shape.iter().try_fold(dtype.size() as u64, |bytes, &n| bytes.checked_mul(n));
    let expected = data.and_then(|data| data.checked_add(offset));
    match expected {
        Some(expected) if expected == length => Ok(NpyFile { dtype, shape, offset }),
        Some(expected) => {
            let fault = if length < expected { "it is cut off" } else { "something follows the array" };
            Err(wrong(format!("has {length} bytes where shape {shape:?} of {dtype} needs {expected}: {fault}")))
        }
        None => Err(wrong(format!("claims shape {shape:?}, which no file can hold"))),
    }
}

/// Returns the length that a header claims in the four bytes of formats 2 and 3, for which the reader takes memory at once. 0
/// for other formats and files too short for one.
fn claimed_header(file: &File) -> io::Result<u32> {
    let mut beginning = [0; 12];
    match file.read_exact_at(&mut beginning, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
        other => other?,
    }
    let [magic @ .., format, _, a, b, c, d] = beginning;
    Ok(if magic == *b"\x93NUMPY" && format >= 2 { u32::from_le_bytes([a, b, c, d]) } else { 0 })
}

/// Returns the element type for numpy's `dtype`, or an error message.
fn element_type(dtype: &DType) -> Result<Dtype, String> {
    let described = dtype.descr();
    let refused = |advice: &str| Err(format!("stores {described}; {advice}"));
    let DType::Plain(plain) = dtype else {
        return refused("it must store plain '<f4', '<f8' or '<f2'");
    };
    match (plain.type_char(), plain.size_field(), plain.endianness()) {
        (TypeChar::Float, _, Endianness::Big) => refused("big-endian numbers are not read, save them as '<f4'"),
        (TypeChar::Float, 2, _) => Ok(Dtype::F16),
        (TypeChar::Float, 4, _) => Ok(Dtype::F32),
        (TypeChar::Float, 8, _) => Ok(Dtype::F64),
        (TypeChar::RawData, 2, _) => {
            refused("if these are bfloat16, npy has no name for that type: use safetensors, or save them as '<f4'")
        }
        _ => refused("it must store '<f4', '<f8' or '<f2'"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileKind, Source, open_files, read};
    use super::*;

    /// Makes an npy file of version 1 according to its specification.
    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let mut header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
        while (10 + header.len()) % 64 != 63 {
            header.push(' ');
        }
        header.push('\n');
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn counting(from: u32, count: u32) -> Vec<u8> {
        (from..from + count).flat_map(|value| (value as f32).to_le_bytes()).collect()
    }

    fn open(base: &Path, pattern: &str) -> Result<Box<dyn Source>, SourceError> {
        open_files(FileKind::Npy, pattern, base, &Weights::Stored, None)
    }

    /// The elements of an empty array have no bytes, so its length does not bound the clients.
    #[test]
    fn many_empty_clients_are_refused() {
        let home = tempfile::tempdir().unwrap();
        for rows in [1u64 << 60, 1_000_000_000_000, MOST_CLIENTS + 1] {
            std::fs::write(home.path().join("t.npy"), npy("'<f4'", false, &format!("({rows}, 0)"), b"")).unwrap();
            let refused = open(home.path(), "t.npy").err().unwrap().to_string();
            assert!(refused.contains("there may be 1048576 clients"), "{refused}");
        }
    }

    /// A header's length is a stranger's word, for which no memory may be taken.
    #[test]
    fn a_long_header_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let long = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes(), b"{'descr': '<f4'"].concat();
        std::fs::write(home.path().join("t.npy"), long).unwrap();
        let refused = open(home.path(), "t.npy").err().unwrap().to_string();
        assert!(refused.contains("claims a header of 4294967295 bytes"), "{refused}");
    }

    #[test]
    fn one_table() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("t.npy"), npy("'<f4'", false, "(3, 7)", &counting(0, 21))).unwrap();
        let source = open(home.path(), "t.npy").unwrap();
        assert_eq!((source.clients(), source.elements(), source.weights()), (3, 7, &[1.0; 3][..]));
        let mut out = [0f32; 7];
        read(&*source, 1, Range::new(0, 7), &mut out).unwrap();
        assert_eq!(out, [7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0]);
        let mut out = [0f64; 2];
        read(&*source, 2, Range::new(5, 7), &mut out).unwrap();
        assert_eq!(out, [19.0, 20.0]);
        let weights = Weights::Each(vec![1.0, 2.0, 3.0]);
        let weighted = open_files(FileKind::Npy, "*.npy", home.path(), &weights, None).unwrap();
        assert_eq!(weighted.weights(), [1.0, 2.0, 3.0]);
        assert!(open_files(FileKind::Npy, "*.npy", home.path(), &Weights::Stored, Some("x")).is_err());
    }

    #[test]
    fn a_file_a_client() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, content: Vec<u8>| std::fs::write(home.path().join(name), content).unwrap();
        write("b.npy", npy("'<f4'", false, "(5,)", &counting(10, 5)));
        write("a.npy", npy("'<f4'", true, "(5,)", &counting(0, 5)));
        let source = open(home.path(), ".").unwrap();
        let mut out = [0f32; 2];
        read(&*source, 1, Range::new(3, 5), &mut out).unwrap();
        assert_eq!((source.clients(), out), (2, [13.0, 14.0]));
        assert_eq!(open(home.path(), "a.npy").unwrap().clients(), 1);
        let fault = |content: Vec<u8>| {
            write("b.npy", content);
            let message = open(home.path(), ".").err().unwrap().to_string();
            assert!(message.contains("b.npy"), "{message}");
            message
        };
        assert!(fault(npy("'<f4'", false, "(4,)", &counting(0, 4))).contains("4 elements"));
        assert!(fault(npy("'<f8'", false, "(5,)", &[0; 40])).contains("stores f64"));
        assert!(fault(npy("'<f4'", false, "(1, 5)", &counting(0, 5))).contains("one dimension"));
        assert!(fault(npy("'<f4'", false, "(5,)", &counting(0, 5)[..19])).contains("cut off"));
        assert!(fault(npy("'<f4'", false, "(5,)", &counting(0, 6))).contains("follows"));
        assert!(fault(npy("'>f4'", false, "(5,)", &counting(0, 5))).contains("big-endian"));
        assert!(fault(npy("'<i4'", false, "(5,)", &counting(0, 5))).contains("'<i4'"));
        assert!(fault(npy("'|V2'", false, "(5,)", &[0; 10])).contains("bfloat16"));
        assert!(fault(npy("[('x', '<f4')]", false, "(5,)", &counting(0, 5))).contains("plain"));
        assert!(fault(npy("'<f4'", true, "(2, 5)", &counting(0, 10))).contains("ascontiguousarray"));
        assert!(fault(npy("'<f4'", false, "()", &counting(0, 1))).contains("shape []"));
        assert!(fault(b"PK\x03\x04 a zip, as npz is".to_vec()).contains("no npy file"));
        assert!(fault(vec![]).contains("no npy file"));
    }

    #[test]
    fn halves_and_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("h.npy");
        // 1, -2 and the smallest subnormal, in IEEE binary16.
        std::fs::write(&path, npy("'<f2'", false, "(3,)", &[0, 0x3c, 0, 0xc0, 1, 0])).unwrap();
        let source = open(home.path(), "h.npy").unwrap();
        let mut out = [0f32; 3];
        read(&*source, 0, Range::new(0, 3), &mut out).unwrap();
        assert_eq!((source.stored_dtype(), out), (Some(Dtype::F16), [1.0, -2.0, 2f32.powi(-24)]));
        std::fs::write(&path, npy("'<f4'", false, "(2, 0)", &[])).unwrap();
        let source = open(home.path(), "h.npy").unwrap();
        assert_eq!((source.clients(), source.elements()), (2, 0));
        read(&*source, 1, Range::new(0, 0), &mut [0f32; 0]).unwrap();
        std::fs::write(&path, npy("'<f4'", false, "(0, 2)", &[])).unwrap();
        assert!(open(home.path(), "h.npy").err().unwrap().to_string().contains("no client"));
    }
}
