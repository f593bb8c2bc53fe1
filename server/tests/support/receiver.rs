//! A receiver of webhooks that is away, slow, odd or full of refusals, and that verifies what comes.

#![allow(dead_code, reason = "each test file uses a part of it")]

use policy_integrations::webhook::{Key, Signed, TOLERANCE, verify};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
pub(crate) const OTHER: &str = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

/// What a receiver does with a request.
#[derive(Clone)]
pub(crate) enum Mode {
    /// Answers with these bytes, and closes the connection.
    Bytes(Vec<u8>),
    /// The same after a pause.
    Slow(Duration, Vec<u8>),
    /// Closes the connection.
    Close,
    /// Does as this says.
    Ask(Arc<dyn Fn(&Request) -> u16 + Send + Sync>),
}

impl Mode {
    pub(crate) fn status(status: u16, head: &str) -> Self {
        Self::Bytes(answer(status, head))
    }
}

pub(crate) fn answer(status: u16, head: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n{head}\r\n").into_bytes()
}

/// A request, and what it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
    /// Whether the answer was 2xx.
    pub(crate) taken: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn signed(&self) -> Signed {
        Signed {
            id: self.header("webhook-id").to_owned(),
            timestamp: self.header("webhook-timestamp").to_owned(),
            signature: self.header("webhook-signature").to_owned(),
        }
    }

    /// Whether somebody signed it who knows the secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = Key::parse(&secret.to_owned().into()).unwrap();
        verify(&[&key], &self.signed(), &self.body, SystemTime::now(), TOLERANCE).is_ok()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        match serde_json::from_slice(&self.body).unwrap() {
            Value::Array(events) => events,
            event => vec![event],
        }
    }
}

/// A receiver that can be stopped and started on the same port.
pub(crate) struct Receiver {
    address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut receiver = Self {
            address: listener.local_addr().unwrap(),
            mode: Arc::new(Mutex::new(Mode::status(204, ""))),
            requests: Arc::default(),
            stop: Arc::default(),
            thread: None,
        };
        receiver.listen(listener);
        receiver
    }

    fn listen(&mut self, listener: TcpListener) {
        let (mode, requests) = (Arc::clone(&self.mode), Arc::clone(&self.requests));
        let stop = Arc::new(AtomicBool::new(false));
        self.stop = Arc::clone(&stop);
        self.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (mode, requests) = (Arc::clone(&mode), Arc::clone(&requests));
                std::thread::spawn(move || serve(&stream.unwrap(), &mode, &requests));
            }
        }));
    }

    /// From now on connections are refused.
    pub(crate) fn refuse(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }

    /// Listens again.
    pub(crate) fn listen_again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.listen(listener);
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(crate) fn take(&self) {
        self.set(Mode::status(204, ""));
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Events that were acknowledged, in their order, each where it came first; and every check of what came.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let mut held: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut events = Vec::new();
        for request in self.requests() {
            assert!(request.is_signed_with(SECRET), "{request:?}");
            assert!(!request.is_signed_with(OTHER));
            // A request that comes again is the same, byte for byte.
            let before = held.insert(request.header("webhook-id").to_owned(), request.body.clone());
            assert!(before.is_none_or(|before| before == request.body));
            if !request.taken {
                continue;
            }
            for event in request.events() {
                assert_eq!(event["specversion"], "1.0");
                if seen.insert(event["id"].as_str().unwrap().to_owned()) {
                    events.push(event);
                }
            }
        }
        events
    }

    /// Request ids of the decisions that were acknowledged, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |event: Value| event["data"]["requestId"].as_str().unwrap().to_owned();
        self.events().into_iter().map(id).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/policy?tenant=a", self.address)
    }
}

fn serve(stream: &TcpStream, mode: &Mutex<Mode>, requests: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    assert_eq!(line.trim(), "POST /hooks/policy?tenant=a HTTP/1.1");
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut request = Request {
        headers,
        body,
        at: Instant::now(),
        taken: false,
    };
    let mode = mode.lock().unwrap().clone();
    let (wait, bytes) = match mode {
        Mode::Bytes(bytes) => (Duration::ZERO, bytes),
        Mode::Slow(wait, bytes) => (wait, bytes),
        Mode::Close => (Duration::ZERO, Vec::new()),
        Mode::Ask(ask) => (Duration::ZERO, answer(ask(&request), "")),
    };
    request.taken = bytes.starts_with(b"HTTP/1.1 2") && wait.is_zero();
    requests.lock().unwrap().push(request);
    std::thread::sleep(wait);
    // Whoever has waited enough is gone.
    drop((&*stream).write_all(&bytes));
    drop(stream.shutdown(std::net::Shutdown::Both));
}
