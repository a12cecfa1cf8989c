//! Owns `sanntid demo`: a real server over a temporary folder, a story told through its HTTP API,
//! then live traffic until somebody stops it. Nothing is left behind.

mod people;
mod source;
mod story;
mod traffic;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;

use crate::admin_key;
use crate::cli::DemoArgs;
use crate::client::Client;
use crate::clock::Stopwatch;
use crate::config::{Config, LogConfig, Secret};
use crate::output::{self, Colour, Output};
use crate::signals::Interrupt;
use crate::{logging, serve};

/// How often the status line changes on a terminal, and elsewhere.
const STATUS_EVERY: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Runs the demo.
///
/// # Errors
/// The server can't be started, or an answer is not what the story says.
pub(crate) fn run(arguments: &DemoArgs, output: Output) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let interrupt = Interrupt::on_signal()?;
    let folder = tempfile::Builder::new()
        .prefix("sanntid-demo-")
        .tempdir()
        .context("no temporary folder")?;
    let config = Config {
        listen: arguments.address(),
        data_dir: folder.path().join("data"),
        admin_key: Some(admin_key::make()),
        log: LogConfig {
            level: "warn".to_owned(),
            ..LogConfig::default()
        },
        ..Config::default()
    };
    logging::start(&config.log)?;
    let key = config.admin_key.clone().context("a key was just made")?;
    let server = Server::start(config)?;
    let url = format!("http://{}", server.address);
    let client = Client::new(&url, Some(key.clone()), interrupt.clone())?;
    let told = tell(&client, &output, folder.path(), &key, &url).and_then(|scene| {
        let left = arguments
            .seconds
            .map(|seconds| Duration::from_secs(seconds).saturating_sub(watch.elapsed()));
        watch_traffic(&scene, &output, &interrupt, left)
    });
    let stopped = server.stop();
    folder
        .close()
        .context("the temporary folder can't be removed")?;
    match told {
        Err(error) if !interrupt.is_raised() => Err(error),
        _ => stopped,
    }
}

fn tell(
    client: &Client,
    output: &Output,
    folder: &std::path::Path,
    key: &Secret,
    url: &str,
) -> anyhow::Result<story::Scene> {
    output::line(&format!(
        "{} {} made-up customers in a temporary folder; nothing is kept",
        output.paint(Colour::Bold, "sanntid demo:"),
        people::CUSTOMERS
    ))?;
    let scene = story::set(client, folder)?;
    let id = scene.instance.id();
    output::line(&format!("  address   {url}  ({url}/docs describes it)"))?;
    output::line(&format!("  key       {}", key.expose()))?;
    output::line(&format!("  instance  {id}\n"))?;
    story::tell(&scene, output, folder)?;
    let instance = format!("{url}/api/instances/{id}");
    let header = format!("-H 'Ocp-Apim-Subscription-Key: {}'", key.expose());
    let hero = people::HERO;
    output::line(&output.paint(Colour::Bold, "\nNow you, as pasted:"))?;
    output::line(&format!(
        "  curl -s '{instance}/customers/{hero}/card' {header}"
    ))?;
    output::line(&format!(
        "  curl -si -X PATCH '{instance}/data/Customer/{hero}' {header} \
         -H 'Content-Type: application/json' -d '{{\"City\": \"Bodø\"}}'"
    ))?;
    output::line(&format!(
        "  curl -s '{instance}/data/Customer?top=3' {header}\n"
    ))?;
    Ok(scene)
}

fn watch_traffic(
    scene: &story::Scene,
    output: &Output,
    interrupt: &Interrupt,
    left: Option<Duration>,
) -> anyhow::Result<()> {
    output::line("Live traffic; Ctrl-C ends it.")?;
    let traffic = traffic::Traffic::start(&scene.instance)?;
    let watch = Stopwatch::start();
    let every = if output.terminal {
        STATUS_EVERY
    } else {
        LINE_EVERY
    };
    loop {
        let wait = left.map_or(every, |left| {
            left.saturating_sub(watch.elapsed()).min(every)
        });
        let asked = interrupt.wait(wait);
        let line = traffic.status(watch.elapsed());
        match output.terminal {
            true => output::status(&line)?,
            false => output::line(&line)?,
        }
        if asked || left.is_some_and(|left| watch.elapsed() >= left) {
            break;
        }
    }
    if output.terminal {
        output::line("")?;
    }
    traffic.stop()
}

/// The server on a thread of its own.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    fn start(config: Config) -> anyhow::Result<Self> {
        let (stop, asked) = oneshot::channel();
        let (ready, accepts) = mpsc::channel();
        let body = move || {
            // A sender that is dropped asks to stop, too.
            let asked = async move { asked.await.unwrap_or(()) };
            serve::run_until(&config, asked, move |address| {
                if ready.send(address).is_err() {
                    tracing::debug!("nobody waits for the address");
                }
            })
        };
        let thread = std::thread::Builder::new()
            .name("server".to_owned())
            .spawn(body)
            .context("no thread for the server")?;
        match accepts.recv() {
            Ok(address) => Ok(Self {
                address,
                stop,
                thread,
            }),
            Err(_) => {
                join(thread)?;
                Err(anyhow!("the server has ended"))
            }
        }
    }

    fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        join(self.thread)
    }
}

fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let ended = thread.join();
    ended.unwrap_or_else(|_| Err(anyhow!("the server's thread has crashed")))
}
