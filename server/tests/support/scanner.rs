//! A scanner on a loopback port that answers as a test says, byte for byte, in the contract of LLM Shield, and remembers what it was
//! asked.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails as tests do")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Scanners looked and found nothing.
    Safe,
    /// A scanner found this.
    Unsafe(&'static str),
    /// The whole body, after the id of the request was put in place of `EXECUTION`.
    Body(u16, String),
    /// These bytes, and the end of the connection.
    Bytes(&'static [u8]),
    /// What is safe, after a pause.
    Slow(Duration),
    /// The first half of what is safe, and the end of the connection.
    Half,
    /// The end of the connection.
    Nothing,
}

/// A request, as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// The scanner; it ends with the runtime of its test.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    pub(crate) url: String,
    reply: Arc<Mutex<Reply>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The body of an answer.
pub(crate) fn answer(is_valid: bool, risk: f64, scanners: &Value) -> String {
    json!({
        "result": {
            "isValid": is_valid, "riskScore": risk, "sanitizedText": "", "scannerResults": scanners,
            "scanTimeMs": 1, "cacheHit": false,
        },
        "execution": {"executionId": "EXECUTION"},
    })
    .to_string()
}

fn scanner(name: &str, is_valid: bool) -> Value {
    json!([{"scanner": name, "isValid": is_valid, "riskScore": if is_valid { 0.0 } else { 0.9 },
            "riskFactors": [], "entities": [], "executionTimeMs": 1}])
}

/// The body of what is safe.
pub(crate) fn safe() -> String {
    answer(true, 0.0, &scanner("secrets", true))
}

impl Scanner {
    /// Answers every request so.
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            reply: Arc::new(Mutex::new(reply)),
            asked: Arc::default(),
        };
        let scanner = own.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let scanner = scanner.clone();
                // Whoever has heard enough is gone, which is no failure of the scanner.
                tokio::spawn(async move { scanner.serve(stream).await });
            }
        });
        own
    }

    /// From now on it answers so.
    pub(crate) fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Everything that it was asked, and forgets it.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let asked = read(&mut stream).await?;
            let execution = header(&asked.head, "x-execution-id");
            self.asked.lock().unwrap().push(asked);
            let reply = self.reply.lock().unwrap().clone();
            let named = |body: &str| body.replace("EXECUTION", &execution);
            let bytes = match reply {
                Reply::Safe => http(200, &named(&safe())),
                Reply::Unsafe(name) => http(200, &named(&answer(false, 0.9, &scanner(name, false)))),
                Reply::Body(status, body) => http(status, &named(&body)),
                Reply::Bytes(bytes) => {
                    stream.write_all(bytes).await.ok()?;
                    return None;
                }
                Reply::Slow(pause) => {
                    tokio::time::sleep(pause).await;
                    http(200, &named(&safe()))
                }
                Reply::Half => {
                    let all = http(200, &named(&safe()));
                    stream.write_all(&all[..all.len() / 2]).await.ok()?;
                    return None;
                }
                Reply::Nothing => return None,
            };
            stream.write_all(&bytes).await.ok()?;
        }
    }
}

fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The value of a header; empty where there is none.
pub(crate) fn header(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    line.unwrap_or_default()
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length: usize = header(&head, "content-length").parse().unwrap();
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked {
        head,
        body: serde_json::from_slice(&bytes[end + 4..]).unwrap(),
    })
}
