//! The handler for AWS Lambda, driven through the Runtime API by a small emulator of it
//! (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).

#![cfg(feature = "lambda")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A request of a function to the Runtime API.
struct RuntimeRequest {
    /// Such as `GET /2018-06-01/runtime/invocation/next`.
    line: String,
    body: Vec<u8>,
}

/// Ends the handler with the test.
struct Handler(Child);

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn request(reader: &mut impl BufRead) -> Option<RuntimeRequest> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap());
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        body.extend(&chunk[..size]);
        chunked = size > 0;
    }
    Some(RuntimeRequest { line: line.rsplit_once(' ').unwrap().0.to_owned(), body })
}

/// Serves the events to a function, one after another. Returns the last part of the path and the body of each answer.
fn emulate(listener: &TcpListener, events: &[Value]) -> Vec<(String, Value)> {
    let (mut answers, mut next) = (Vec::new(), events.iter().enumerate());
    while answers.len() < events.len() {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while answers.len() < events.len() {
            let Some(RuntimeRequest { line, body }) = request(&mut reader) else { break };
            let answer = if line == "GET /2018-06-01/runtime/invocation/next" {
                let (number, event) = next.next().unwrap();
                let body = event.to_string();
                format!(
                    "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-{number}\r\nLambda-Runtime-Deadline-Ms: \
                     9999999999999\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:x:1:function:f\r\nContent-Type: \
                     application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            } else {
                let path = format!("POST /2018-06-01/runtime/invocation/id-{}/", answers.len());
                let kind = line.strip_prefix(&path).unwrap_or_else(|| panic!("{line}"));
                answers.push((kind.to_owned(), serde_json::from_slice(&body).unwrap()));
                "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned()
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }
    answers
}

/// (1 · 2 + 3 · 4) / 2 = 7 from two objects; then an event that is no invocation, one whose object is missing, and the first once
/// more: a failure ends an invocation and not the handler.
#[test]
fn events_are_invocations() {
    let place = tempfile::tempdir().unwrap();
    let (two, four, seven) = (2f32.to_le_bytes(), 4f32.to_le_bytes(), 7f32.to_le_bytes());
    fs::write(place.path().join("a"), two).unwrap();
    fs::write(place.path().join("b"), four).unwrap();
    // SHA-256 of the four bytes of 2.0 and of 4.0, by Python's hashlib.
    let sums = [
        "d88c86f15bbea365d658ad95a81d45367c465f7af6f7264fb077f01747ddc77d",
        "4f4b9b7d8b86633e2824e2f439819357b0cd010ab410ea1a691b12c5f94e91e0",
    ];
    let valid = json!({
        "object": "c", "dtype": "f32", "elements": 1, "piece": 1, "divisor": 2.0, "memory_bytes": 1_048_576, "tempo": null,
        "inputs": [{"object": "a", "from": 0, "weight": 1.0, "sha256": [sums[0]]},
                   {"object": "b", "from": 0, "weight": 3.0, "sha256": [sums[1]]}],
        "checked": []
    });
    let mut missing = valid.clone();
    missing["inputs"][0]["object"] = "none".into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradshard-function"));
    command.args(["lambda", "--store"]).arg(place.path()).stdout(Stdio::null());
    command.env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string());
    for (name, value) in [("NAME", "f"), ("VERSION", "1"), ("MEMORY_SIZE", "512")] {
        command.env(format!("AWS_LAMBDA_FUNCTION_{name}"), value);
    }
    command.env("AWS_LAMBDA_LOG_GROUP_NAME", "g").env("AWS_LAMBDA_LOG_STREAM_NAME", "s");
    let _handler = Handler(command.spawn().unwrap());
    let answers = emulate(&listener, &[valid.clone(), json!({"object": 1}), missing, valid]);
    let kinds: Vec<&str> = answers.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["response", "error", "error", "response"], "{answers:?}");
    assert_eq!(fs::read(place.path().join("c")).unwrap(), seven);
    let [first, unread, missing, last] = [0, 1, 2, 3].map(|index: usize| &answers[index].1);
    assert_eq!((&first["gets"], &first["puts"], &last["gets"]), (&2.into(), &1.into(), &2.into()), "{answers:?}");
    assert!(["cgroup-v1", "cgroup-v2", "RLIMIT_DATA"].contains(&first["limited_by"].as_str().unwrap()), "{first}");
    assert!(unread["errorMessage"].is_string(), "{unread}");
    assert!(missing["errorMessage"].as_str().unwrap().contains("object none: does not exist"), "{missing}");
}
