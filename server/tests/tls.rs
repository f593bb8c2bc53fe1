//! TLS at both ends: our listeners as clients see them, and the databases that we are a client of. Certificates are made in
//! the test, connections and servers are real.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic like the tests"
)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;
#[path = "support/tls.rs"]
mod support;

use policy_proto::v1::policy_service_client::PolicyServiceClient;
use policy_proto::v1::{self, evaluate_policy_request::Input};
use policy_server::answer::Answers;
use policy_server::body::Arriving;
use policy_server::config::{Config, Raw};
use policy_server::identity::Identity;
use policy_server::limits::Route;
use policy_server::listen::{Answer, Deadlines, Listener, Serve, Stop};
use policy_server::redis_client::{self, Unusable};
use policy_server::shares::Shares;
use policy_server::storage;
use policy_server::telemetry::Metrics;
use policy_server::tls::{Acceptor, Tls, TlsError, install_provider, server_config};
use process::Redis;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use secrecy::SecretString;
use server::Running;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::{Authority, Files, Leaf};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

static TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Says hello to everybody.
#[derive(Clone)]
struct Hello;

impl Serve for Hello {
    fn serve(self: Arc<Self>, _: IpAddr, _: http::Request<Arriving>) -> Answer {
        Box::pin(async { axum::response::Response::new("hello".into()) })
    }
}

fn serve(tls: Acceptor) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener {
        socket,
        tls: Some(tls),
        places: Shares::new(100, 100),
        deadlines: Deadlines {
            head: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        },
        age: None,
        answers: Answers::new(1 << 20, Arc::new(Metrics::new())),
        metrics: Arc::new(Metrics::new()),
    };
    tokio::spawn(async move { listener.run(Hello, &Stop::default()).await });
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
    let address = serve(tls.acceptor());
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
    let address = serve(tls.acceptor());
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
    let address = serve(tls.acceptor());
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
    let address = serve(tls.acceptor());
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
    let none = policy_server::tls::Config {
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

/// A whole server with the certificates of these files.
async fn whole(files: &Files, client_ca: bool) -> Running {
    let (cert, key, ca) = (
        files.text("cert.pem"),
        files.text("key.pem"),
        files.text("ca.pem"),
    );
    // Without a policy nothing would be decided.
    let policies = files.text("policies");
    std::fs::create_dir(&policies).unwrap();
    let silent = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: exists, field: never.there}\n  action: \
                  {decision: deny}\n";
    files.put("policies/p.yaml", silent);
    let mut settings = vec![
        ("TLS_CERT", cert.as_str()),
        ("TLS_KEY", key.as_str()),
        ("POLICIES", policies.as_str()),
    ];
    if client_ca {
        settings.push(("TLS_CLIENT_CA", ca.as_str()));
    }
    Running::start(&settings).await
}

/// Asks for a decision over gRPC, with the generated client.
async fn decide(server: &Running, trusts: &Authority, shows: Option<&Leaf>) -> Result<bool, String> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trusts.0.pem()));
    if let Some(leaf) = shows {
        tls = tls.identity(tonic::transport::Identity::from_pem(
            &leaf.cert_pem,
            &leaf.key_pem,
        ));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", server.addresses.grpc)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await;
    let mut client = PolicyServiceClient::new(channel.map_err(|error| format!("{error:?}"))?);
    let request = v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson("{}".into())),
        ..v1::EvaluatePolicyRequest::default()
    };
    let answer = client.evaluate_policy(request).await;
    Ok(answer
        .map_err(|status| format!("{status:?}"))?
        .into_inner()
        .allowed)
}

/// What `policyd call` ends with: its exit code and everything that it said.
async fn call(url: String, arguments: &[(&'static str, String)]) -> (i32, String) {
    let arguments: Vec<String> = arguments
        .iter()
        .flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()])
        .collect();
    tokio::task::spawn_blocking(move || {
        let mut all = vec!["call", "--server", &url, "--context", "{}"];
        all.extend(arguments.iter().map(String::as_str));
        let (code, out, err) = process::finished(&[], &all, &std::env::temp_dir());
        (code, out + &err)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_is_served_to_clients_that_trust_the_authority() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&authority.leaf("127.0.0.1"));
    files.put("ca.pem", &authority.0.pem());
    files.put("other.pem", &stranger.0.pem());
    let server = whole(&files, false).await;
    assert_eq!(decide(&server, &authority, None).await, Ok(true));
    let refused = decide(&server, &stranger, None).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");

    let url = format!("https://{}", server.addresses.grpc);
    let ca = |name| [("--ca", files.text(name))];
    let (code, said) = call(url.clone(), &ca("ca.pem")).await;
    assert!(
        code == 0 && said.contains(r#""decision":"allow""#),
        "{code}: {said}"
    );
    for arguments in [ca("other.pem").as_slice(), &[]] {
        let (code, said) = call(url.clone(), arguments).await;
        assert!(
            code == 2 && said.contains(&format!("{url} cannot be reached")) && said.contains("UnknownIssuer"),
            "{code}: {said}"
        );
    }
    // A certificate for another host does not count.
    let other = format!("https://localhost:{}", server.addresses.grpc.port());
    let (code, said) = call(other, &ca("ca.pem")).await;
    assert!(code == 2 && said.contains("not valid for name"), "{code}: {said}");
    let (code, said) = call(format!("http://{}", server.addresses.grpc), &ca("ca.pem")).await;
    assert!(code == 2 && said.contains("is not https"), "{code}: {said}");
    let (code, said) = call(url, &ca("key.pem")).await;
    assert!(
        code == 2 && said.contains("holds no certificate"),
        "{code}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_with_a_client_authority_answers_nobody_without_its_certificate() {
    let (authority, clients, stranger) = (
        Authority::new("ours"),
        Authority::new("clients"),
        Authority::new("theirs"),
    );
    let files = Files::new(&authority.leaf("127.0.0.1"));
    files.put("ca.pem", &clients.0.pem());
    files.put("server-ca.pem", &authority.0.pem());
    let server = whole(&files, true).await;
    let (good, other) = (clients.leaf("gateway"), stranger.leaf("gateway"));
    assert_eq!(decide(&server, &authority, Some(&good)).await, Ok(true));
    assert!(decide(&server, &authority, Some(&other)).await.is_err());
    assert!(decide(&server, &authority, None).await.is_err());

    let url = format!("https://{}", server.addresses.grpc);
    let mut arguments = vec![("--ca", files.text("server-ca.pem"))];
    let (code, said) = call(url.clone(), &arguments).await;
    assert_eq!(code, 2, "{said}");
    for (name, leaf, expected) in [("other", &other, 2), ("good", &good, 0)] {
        files.put(&format!("{name}.pem"), &leaf.cert_pem);
        files.put(&format!("{name}.key"), &leaf.key_pem);
        arguments.truncate(1);
        arguments.push(("--client-cert", files.text(&format!("{name}.pem"))));
        arguments.push(("--client-key", files.text(&format!("{name}.key"))));
        let (code, said) = call(url.clone(), &arguments).await;
        assert_eq!(code, expected, "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_used_where_the_named_authority_vouches_for_it() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&authority.leaf("127.0.0.1"));
    files.put("ca.pem", &authority.0.pem());
    files.put("other.pem", &stranger.0.pem());
    let test = "redis_is_used_where_the_named_authority_vouches_for_it";
    let Some(redis) = Redis::start_tls(test, files.text("cert.pem"), files.text("key.pem")) else {
        return;
    };
    let server = async |ca: &str| {
        let (url, ca) = (redis.url(), files.text(ca));
        Running::start(&[
            ("REDIS_URL", url.as_str()),
            ("REDIS_TLS_CA", ca.as_str()),
            ("RATE_LIMIT", "1000"),
            ("RATE_LIMIT_SHARED", "true"),
        ])
        .await
    };
    // Whether a request is counted in Redis: one that is not is counted in process.
    let shared = async |server: &Running| {
        let limiter = &server.app.service.limiter;
        let before = limiter.fallbacks();
        limiter
            .check(&Identity::anonymous(), Route::Evaluate)
            .await
            .unwrap();
        limiter.fallbacks() == before
    };
    let good = server("ca.pem").await;
    for _ in 0..400 {
        if good.app.service.cache.shared_is_up() == Some(true) && shared(&good).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(good.app.service.cache.shared_is_up(), Some(true));
    assert!(shared(&good).await);

    // The refusal, and that it is what keeps servers from using it.
    let connect = async |url: String, ca: Option<&str>| {
        let config = policy_server::redis_client::Config {
            url: SecretString::from(url),
            ca: ca.map(|name| files.path(name)),
        };
        let client = redis_client::open(&config).map_err(|error| error.to_string())?;
        let connection = client.get_multiplexed_async_connection().await;
        connection.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(connect(redis.url(), Some("ca.pem")).await, Ok(()));
    let elsewhere = redis.url().replace("127.0.0.1", "localhost");
    for (url, ca, reason) in [
        (redis.url(), Some("other.pem"), "UnknownIssuer"),
        (redis.url(), None, "UnknownIssuer"),
        (elsewhere, Some("ca.pem"), "not valid for name"),
        (redis.url(), Some("key.pem"), "holds no certificate"),
        (redis.url(), Some("none.pem"), "none.pem"),
    ] {
        let refused = connect(url, ca).await.unwrap_err();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let bad = server("other.pem").await;
    for _ in 0..3 {
        assert!(!shared(&bad).await);
        assert_eq!(bad.app.service.cache.shared_is_up(), Some(false));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The page of metrics tells of it; every look at `shared` was a request.
    let shown = |server: &Running| {
        let name = "llm_policy_rate_limit_fallbacks_total ";
        let page = server.app.scrape();
        page.lines()
            .find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok())
    };
    assert_eq!(shown(&bad), Some(3));
    assert_eq!(shown(&good), Some(good.app.service.limiter.fallbacks()));
    // What nothing can be trusted by is said before anything is served.
    let unusable = policy_server::redis_client::Config {
        url: SecretString::from("rediss://:hunter2@127.0.0.1/0"),
        ca: Some(files.path("key.pem")),
    };
    let error = redis_client::open(&unusable).unwrap_err();
    assert!(
        matches!(&error, Unusable::Ca(_)) && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_used_where_its_certificate_is_for_it_and_trusted() {
    let Some(database) = tokio::task::spawn_blocking(postgres::Server::start)
        .await
        .unwrap()
    else {
        return postgres::missing("postgresql_is_used_where_its_certificate_is_for_it_and_trusted");
    };
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let leaf = authority.leaf("127.0.0.1");
    let files = Files::new(&leaf);
    files.put("ca.pem", &authority.0.pem());
    files.put("other.pem", &stranger.0.pem());
    database.secure(&leaf.cert_pem, &leaf.key_pem);
    let open = async |settings: &[(&str, &str)]| {
        let given = |name: &str| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        let config = Config::parse(&Raw::collect(None, given, |_| None)).unwrap();
        let store = storage::open(&config.store).await.unwrap();
        let answer = store.revision().await;
        store.close().await;
        answer.map(drop).map_err(|error| error.to_string())
    };
    let (port, ca, other) = (
        database.port().to_string(),
        files.text("ca.pem"),
        files.text("other.pem"),
    );
    // Host, parameters, and why it is refused.
    let cases = [
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), ""),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={other}"),
            "UnknownIssuer",
        ),
        ("127.0.0.1", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ca}"),
            "not valid for name",
        ),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={ca}"), ""),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            "UnknownIssuer",
        ),
        ("127.0.0.1", "sslmode=require".to_owned(), ""),
        ("127.0.0.1", "sslmode=disable".to_owned(), "no encryption"),
    ];
    for (host, parameters, reason) in cases {
        let url = format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
        match open(&[("DATABASE_URL", &url)]).await {
            Ok(()) => assert_eq!(reason, "", "{url} was accepted"),
            Err(error) => assert!(!reason.is_empty() && error.contains(reason), "{url}: {error}"),
        }
    }
    let parts = |ca| {
        [
            ("DATABASE_HOST", "127.0.0.1"),
            ("DATABASE_PORT", port.as_str()),
            ("DATABASE_USERNAME", "postgres"),
            ("DATABASE_NAME", "postgres"),
            ("DATABASE_SSL_MODE", "verify-full"),
            ("DATABASE_SSL_ROOT_CERT", ca),
        ]
    };
    assert_eq!(open(&parts(&ca)).await, Ok(()));
    let refused = open(&parts(&other)).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    // Beside a URL that says nothing of it, the parts apply as well.
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let beside = |ca| {
        [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_SSL_MODE", "verify-full"),
            ("DATABASE_SSL_ROOT_CERT", ca),
        ]
    };
    assert_eq!(open(&beside(&ca)).await, Ok(()));
    let refused = open(&beside(&other)).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}
