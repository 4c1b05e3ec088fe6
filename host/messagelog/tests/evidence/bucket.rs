//! Archives in an object store: a server that takes what is signed as Amazon says, and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuk_messagelog::BucketConfig;
use uuk_transport::UpstreamConfig;

use crate::world::{Database, World};

const SECRET: &str = "correct horse";

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

struct ObjectStore {
    url: String,
    objects: Objects,
    serving: JoinHandle<()>,
}

impl ObjectStore {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let objects = Objects::default();
        let kept = Arc::clone(&objects);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(stream, &kept).await;
            }
        });
        Self { url, objects, serving }
    }

    fn config(&self, world: &World) -> BucketConfig {
        let file = world.folder.path().join("secret");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        BucketConfig {
            upstream: UpstreamConfig::new(&self.url),
            name: "evidence".to_owned(),
            region: "kg-1".to_owned(),
            prefix: "ss1/".to_owned(),
            access_key_id: "uuk".to_owned(),
            secret_access_key_file: file,
        }
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes one PUT.
async fn answer(stream: TcpStream, objects: &Objects) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, String> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let target = lines[0].strip_prefix("PUT ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap();
    let checksum = BASE64.encode(digest(&SHA256, &body).as_ref());
    let is_sound = headers["x-amz-checksum-sha256"] == checksum && is_signed(path, query, &headers);
    let status = if is_sound { "200 OK" } else { "403 Forbidden" };
    if is_sound {
        objects.lock().unwrap().insert(path.to_owned(), body);
    }
    let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(response.as_bytes()).await.unwrap();
}

/// Source: AWS Signature Version 4, with the signature in the query.
fn is_signed(path: &str, query: &str, headers: &BTreeMap<String, String>) -> bool {
    let parameters: BTreeMap<&str, &str> =
        query.split('&').map(|parameter| parameter.split_once('=').unwrap()).collect();
    let signed: Vec<_> = parameters.iter().filter(|(name, _)| **name != "X-Amz-Signature").collect();
    let query = signed.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let request = format!(
        "PUT\n{path}\n{query}\nhost:{}\nx-amz-checksum-sha256:{}\n\nhost;x-amz-checksum-sha256\nUNSIGNED-PAYLOAD",
        headers["host"], headers["x-amz-checksum-sha256"]
    );
    let time = parameters["X-Amz-Date"];
    let scope = format!("{}/kg-1/s3/aws4_request", &time[..8]);
    let request = hex(digest(&SHA256, request.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for step in scope.split('/').chain([to_sign.as_str()]) {
        key = sign(&Key::new(HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec();
    }
    hex(&key) == parameters["X-Amz-Signature"]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn build(world: &World) -> &'static str {
    world.try_build().await.unwrap_err().code()
}

#[tokio::test]
async fn puts_archives_into_a_bucket() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    let store = ObjectStore::start().await;
    world.config.archive.bucket = Some(store.config(&world));
    let running = world.run().await;
    running.log.append(world.record("one", b"body")).await.unwrap();
    running.log.time_stamp().await.unwrap();
    let archive = running.log.archive().await.unwrap().remove(0);
    let objects = store.objects.lock().unwrap().clone();
    let file = &objects[&format!("/evidence/ss1/{}", archive.file_name)];
    assert!(world.verify(file, Some("")).is_valid());
    running.stop().await;
}

#[tokio::test]
async fn refuses_to_take_a_refusal_for_success() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    let store = ObjectStore::start().await;
    let config = store.config(&world);
    std::fs::write(&config.secret_access_key_file, "another").unwrap();
    world.config.archive.bucket = Some(config.clone());
    let running = world.run().await;
    running.log.append(world.record("one", b"body")).await.unwrap();
    running.log.time_stamp().await.unwrap();
    assert_eq!(running.log.archive().await.unwrap_err().code(), "archive_place.status");
    running.stop().await;
    assert!(store.objects.lock().unwrap().is_empty());

    // With the right one, what was planned is written.
    std::fs::write(&config.secret_access_key_file, SECRET).unwrap();
    let running = world.run().await;
    assert_eq!(running.log.archive().await.unwrap().len(), 1);
    drop(store);
    running.log.append(world.record("two", b"body")).await.unwrap();
    running.log.time_stamp().await.unwrap();
    assert_eq!(running.log.archive().await.unwrap_err().code(), "archive_place.unreachable");
    running.stop().await;
}

#[tokio::test]
async fn refuses_a_bucket_that_is_described_wrongly() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    let store = ObjectStore::start().await;
    let sound = store.config(&world);
    let upstream = |base: &str| BucketConfig { upstream: UpstreamConfig::new(base), ..sound.clone() };
    for (config, code) in [
        (upstream("http://127.0.0.1:1/path"), "archive_place.address_with_path"),
        (upstream("ftp://127.0.0.1:1"), "archive_place.upstream"),
        (BucketConfig { secret_access_key_file: "/nowhere".into(), ..sound.clone() }, "archive_place.secret"),
    ] {
        world.config.archive.bucket = Some(config);
        assert_eq!(build(&world).await, code);
    }
}
