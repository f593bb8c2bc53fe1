//! TLS as clients see it: `axum-server` with the configuration of `tls`, certificates made in the test, real connections.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic like the tests"
)]

use axum::Router;
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use policy_server::config;
use policy_server::tls::{Tls, TlsError, install_provider, server_config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

static TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Leaf {
    cert_pem: String,
    key_pem: String,
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn leaf(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &self.0).unwrap();
        Leaf {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            cert: cert.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

/// The files that a server is configured with.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(leaf: &Leaf) -> Self {
        let files = Self {
            dir: TempDir::new().unwrap(),
        };
        files.put("key.pem", &leaf.key_pem);
        files.put("cert.pem", &leaf.cert_pem);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        let new = self.path("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }

    fn config(&self, client_ca: bool) -> config::Tls {
        config::Tls {
            cert: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: client_ca.then(|| self.path("ca.pem")),
        }
    }
}

fn serve(rustls: RustlsConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(async || "hello"));
    let server = axum_server::from_tcp_rustls(listener, rustls).unwrap();
    tokio::spawn(server.serve(app.into_make_service()));
    address
}

/// What a client is like.
#[derive(Clone)]
struct Client {
    trusts: CertificateDer<'static>,
    shows: Option<(CertificateDer<'static>, Arc<PrivateKeyDer<'static>>)>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: &'static [&'static [u8]],
}

impl Client {
    fn of(authority: &Authority) -> Self {
        Self {
            trusts: authority.0.der().clone(),
            shows: None,
            versions: rustls::ALL_VERSIONS,
            alpn: &[b"http/1.1"],
        }
    }

    fn showing(mut self, leaf: &Leaf) -> Self {
        self.shows = Some((leaf.cert.clone(), Arc::new(leaf.key.clone_key())));
        self
    }
}

/// What a client got.
struct Seen {
    body: String,
    version: ProtocolVersion,
    alpn: Vec<u8>,
    certificate: CertificateDer<'static>,
}

/// Asks for `/` over a new connection.
async fn ask(address: SocketAddr, client: &Client) -> Result<Seen, String> {
    let client = client.clone();
    tokio::task::spawn_blocking(move || ask_blocking(address, &client))
        .await
        .unwrap()
}

fn ask_blocking(address: SocketAddr, client: &Client) -> Result<Seen, String> {
    install_provider();
    let mut roots = RootCertStore::empty();
    roots.add(client.trusts.clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(client.versions).with_root_certificates(roots);
    let mut config = match &client.shows {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(vec![cert.clone()], key.clone_key())
            .unwrap(),
    };
    config.alpn_protocols = client.alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    let http2 = stream.conn.alpn_protocol() == Some(b"h2");
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        // A server that speaks HTTP/2 is not asked further than what it speaks.
        Err(_) if http2 => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(Seen {
        body: String::from_utf8_lossy(&text).into_owned(),
        version: stream.conn.protocol_version().unwrap(),
        alpn: stream.conn.alpn_protocol().unwrap_or_default().to_vec(),
        certificate: stream.conn.peer_certificates().unwrap()[0].clone().into_owned(),
    })
}

#[tokio::test]
async fn clients_that_trust_the_authority_get_through_and_others_do_not() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let leaf = authority.leaf("localhost");
    let files = Files::new(&leaf);
    let tls = Tls::build(&files.config(false)).unwrap();
    let address = serve(tls.rustls());
    let client = Client::of(&authority);
    let seen = ask(address, &client).await.unwrap();
    assert!(
        seen.body.starts_with("HTTP/1.1 200") && seen.body.ends_with("hello"),
        "{}",
        seen.body
    );
    assert_eq!(
        (seen.version, seen.certificate),
        (ProtocolVersion::TLSv1_3, leaf.cert.clone())
    );
    assert!(ask(address, &Client::of(&stranger)).await.is_err());
    // TLS 1.2 is spoken too, and HTTP/2 where the client offers it.
    let old = Client {
        versions: TLS12,
        ..client.clone()
    };
    assert_eq!(
        ask(address, &old).await.unwrap().version,
        ProtocolVersion::TLSv1_2
    );
    let http2 = Client {
        alpn: &[b"h2", b"http/1.1"],
        ..client.clone()
    };
    assert_eq!(ask(address, &http2).await.unwrap().alpn, b"h2");
    let odd = Client {
        alpn: &[b"spdy/3"],
        ..client
    };
    assert!(ask(address, &odd).await.is_err());
}

#[tokio::test]
async fn with_a_client_authority_nobody_gets_in_without_its_certificate() {
    let (authority, clients, stranger) = (
        Authority::new("ours"),
        Authority::new("clients"),
        Authority::new("theirs"),
    );
    let files = Files::new(&authority.leaf("localhost"));
    files.put("ca.pem", &clients.0.pem());
    let tls = Tls::build(&files.config(true)).unwrap();
    let address = serve(tls.rustls());
    for versions in [TLS13, TLS12] {
        let client = Client {
            versions,
            ..Client::of(&authority)
        };
        let good = client.clone().showing(&clients.leaf("gateway"));
        assert!(ask(address, &good).await.unwrap().body.ends_with("hello"));
        assert!(ask(address, &client).await.is_err(), "no certificate");
        let other = client.clone().showing(&stranger.leaf("gateway"));
        assert!(ask(address, &other).await.is_err(), "of another authority");
        // A certificate of the server's authority is not one of the clients'.
        let server = client.clone().showing(&authority.leaf("gateway"));
        assert!(ask(address, &server).await.is_err(), "of the server's authority");
        // One of the same name whose key is another.
        let impostor = Authority::new("clients");
        assert!(
            ask(address, &client.showing(&impostor.leaf("gateway")))
                .await
                .is_err(),
            "of a namesake"
        );
    }
}

async fn eventually(
    address: SocketAddr,
    client: &Client,
    what: &str,
    good: impl Fn(&Result<Seen, String>) -> bool,
) {
    for _ in 0..200 {
        if good(&ask(address, client).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn new_files_are_taken_without_a_restart_and_bad_ones_are_not() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let (first, second) = (authority.leaf("localhost"), authority.leaf("localhost"));
    let files = Files::new(&first);
    let tls = Tls::build(&files.config(false)).unwrap();
    let address = serve(tls.rustls());
    let pause = Duration::from_millis(30);
    let watch = tokio::spawn(tls.watch(pause));
    let client = Client::of(&authority);
    let shows = |leaf: &Leaf| {
        let expected = leaf.cert.clone();
        move |seen: &Result<Seen, String>| seen.as_ref().is_ok_and(|seen| seen.certificate == expected)
    };
    assert!(shows(&first)(&ask(address, &client).await));
    // A bad key, a key without its certificate, no files at all: the old ones stay.
    files.put("key.pem", "rubbish");
    tokio::time::sleep(pause * 5).await;
    assert!(shows(&first)(&ask(address, &client).await));
    files.put("key.pem", &second.key_pem);
    tokio::time::sleep(pause * 5).await;
    assert!(shows(&first)(&ask(address, &client).await));
    std::fs::remove_file(files.path("cert.pem")).unwrap();
    tokio::time::sleep(pause * 5).await;
    assert!(shows(&first)(&ask(address, &client).await));
    // With the certificate they are complete.
    files.put("cert.pem", &second.cert_pem);
    eventually(address, &client, "the new certificate", shows(&second)).await;
    watch.abort();

    // The clients' authority is replaced as well.
    files.put("ca.pem", &clients.0.pem());
    let mut tls = Tls::build(&files.config(true)).unwrap();
    let address = serve(tls.rustls());
    let old = client.clone().showing(&clients.leaf("gateway"));
    assert!(ask(address, &old).await.is_ok());
    assert_eq!(tls.reload(), Ok(false));
    let successor = Authority::new("successor");
    files.put("ca.pem", &successor.0.pem());
    assert_eq!(tls.reload(), Ok(true));
    assert!(ask(address, &old).await.is_err());
    assert!(
        ask(address, &client.showing(&successor.leaf("gateway")))
            .await
            .is_ok()
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (authority, other) = (Authority::new("ours"), Authority::new("ours"));
    let leaf = authority.leaf("localhost");
    let good = Files::new(&leaf);
    good.put("ca.pem", &authority.0.pem());
    assert!(server_config(&good.config(true)).is_ok());
    let cases = [
        ("cert.pem", ""),
        (
            "cert.pem",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ),
        ("cert.pem", leaf.key_pem.as_str()),
        ("key.pem", ""),
        ("key.pem", leaf.cert_pem.as_str()),
        ("ca.pem", ""),
        ("ca.pem", leaf.key_pem.as_str()),
    ];
    for (name, content) in cases {
        let files = Files::new(&leaf);
        files.put("ca.pem", &authority.0.pem());
        files.put(name, content);
        match server_config(&files.config(true)) {
            Err(TlsError::File { path, reason }) => {
                assert_eq!(path, files.path(name));
                assert!(!reason.contains("PRIVATE"), "{reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let mixed = Files::new(&leaf);
    mixed.put("key.pem", &other.leaf("localhost").key_pem);
    assert!(matches!(
        server_config(&mixed.config(false)),
        Err(TlsError::Config(_))
    ));
    let none = config::Tls {
        cert: "nowhere.pem".into(),
        ..mixed.config(false)
    };
    assert!(matches!(Tls::build(&none), Err(TlsError::File { .. })));
}

#[test]
fn installing_the_provider_is_safe_to_repeat() {
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(install_provider)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}
