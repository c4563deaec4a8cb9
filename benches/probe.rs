//! What a probe costs: wall time of one after the other (divan), and processor time of the probing thread alone, against a
//! server on another thread of this process. Run by hand: `cargo bench --bench probe`.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says where by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use rounds::domain::{Data, SourceId};
use rounds::sources::{BuildContext, Common, Source, kinds};
use tokio::runtime::{Builder, Runtime};

/// Answers every request at once, one connection after the other.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut bytes = [0; 4_096];
            while let Ok(count) = stream.read(&mut bytes) {
                if count == 0 || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nok 1\n").is_err() {
                    break;
                }
                if bytes[..count].windows(5).any(|window| window == b"close") {
                    break;
                }
            }
        }
    });
    address
}

fn source(address: SocketAddr, keys: &str) -> Box<dyn Source> {
    let text = format!("url = \"http://{address}/health/\"\nproxy = \"none\"\n{keys}");
    let config = (kinds::find("http").unwrap().parse)(toml::de::Deserializer::parse(&text).unwrap()).unwrap();
    let context = BuildContext {
        id: SourceId::parse("bench/http/one").unwrap(),
        common: Common::default(),
        base: PathBuf::new(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    };
    config.build(&context).unwrap().source
}

fn probe(runtime: &Runtime, source: &mut dyn Source) -> f64 {
    let collected = runtime.block_on(source.collect()).unwrap();
    let Data::Health(health) = &collected.observations[0].data else { panic!("health comes first") };
    assert!(health.error.is_none(), "{health:?}");
    health.latency_ms.unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[divan::bench]
fn fresh_connection(bencher: divan::Bencher) {
    let (runtime, mut source) = (runtime(), source(serve(), ""));
    bencher.bench_local(|| probe(&runtime, &mut *source));
}

#[divan::bench]
fn kept_connection(bencher: divan::Bencher) {
    let (runtime, mut source) = (runtime(), source(serve(), "keep_alive = true"));
    bencher.bench_local(|| probe(&runtime, &mut *source));
}

/// Time of this thread on a processor, in nanoseconds (Linux: proc_pid_schedstat).
fn on_processor() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

fn main() {
    const PROBES: u32 = 5_000;
    for (name, keys) in [("fresh connection", ""), ("kept connection", "keep_alive = true")] {
        let (runtime, mut source) = (runtime(), source(serve(), keys));
        probe(&runtime, &mut *source);
        let Some(before) = on_processor() else { break };
        let mut latencies: Vec<f64> = (0..PROBES).map(|_| probe(&runtime, &mut *source)).collect();
        let spent = (on_processor().unwrap_or(before) - before) as f64 / f64::from(PROBES) / 1_000.0;
        latencies.sort_by(f64::total_cmp);
        let median = latencies[latencies.len() / 2];
        println!("{name}: {spent:.1} us of processor a probe ({:.2} s for 10,000), reported latency {median:.3} ms", spent / 100.0);
    }
    divan::main();
}
