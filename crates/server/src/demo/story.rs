//! Owns the story: what the source says, a patch, an expiry, an activity, a refresh.
//! Each step calls the HTTP API, checks what it shows, and prints how long that took.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fastrand::Rng;
use sanntid_types::{Clock, JobReport, JobStatus};
use serde_json::Value;

use super::people::{self, HERO, ORDERS_ENTITY, Order, People};
use super::source;
use crate::api::{Instance, JobView, rows_of};
use crate::client::Client;
use crate::clock::{Stopwatch, SystemClock};
use crate::output::{self, Colour, Output, cell};
use crate::push::{Silent, push};

/// How long the short update of the story holds.
const SHORT: Duration = Duration::from_secs(2);
/// How often the card is read while waiting for an expiry.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// An expiry that takes longer is wrong.
const EXPIRY_MAX: Duration = Duration::from_secs(6);

/// The instance in which the story takes place.
pub(super) struct Scene {
    pub(super) instance: Instance,
    people: People,
    job: JobView,
    loading: Duration,
}

/// Creates the instance and loads the first snapshot.
pub(super) fn set(client: &Client, folder: &Path) -> anyhow::Result<Scene> {
    let now = SystemClock::new().now();
    let (instance, _) =
        Instance::create(client, "Contoso-like made-up customers", "sandbox", None)?;
    instance.send("PUT", "/manage/activities", &source::activities())?;
    let people = People::make(now);
    let parts = people.write(&folder.join("first"))?;
    let watch = Stopwatch::start();
    let job = push(&instance, &source::manifest(now), &parts, &Silent)?;
    let job = finished(&instance, &job)?;
    Ok(Scene {
        instance,
        people,
        job,
        loading: watch.elapsed(),
    })
}

/// Tells the story.
pub(super) fn tell(scene: &Scene, output: &Output, folder: &Path) -> anyhow::Result<()> {
    let teller = Teller { scene, output };
    teller.source_speaks()?;
    teller.patch_shows_at_once()?;
    teller.short_update_expires()?;
    let order = teller.activity_stands_in_the_timeline()?;
    teller.refresh_clears(order, folder)
}

struct Teller<'a> {
    scene: &'a Scene,
    output: &'a Output,
}

impl Teller<'_> {
    fn source_speaks(&self) -> anyhow::Result<()> {
        let report = report_of(&self.scene.job)?;
        self.step(
            "snapshot loaded",
            &format!(
                "{} profiles, {} activities",
                report.profiles, report.activities
            ),
            self.scene.loading,
        )?;
        let (card, took) = self.card()?;
        expect(&card, "City", "Oslo", "source")?;
        self.step(
            "the source says",
            &fields(&card, &["FullName", "City", "LoyaltyTier"]),
            took,
        )
    }

    fn patch_shows_at_once(&self) -> anyhow::Result<()> {
        let took = self.patch(r#"{"City": "Bergen"}"#, &[("caller", "crm")])?;
        self.step("PATCH City=Bergen", "204, stored on disk", took)?;
        let (card, took) = self.card()?;
        expect(&card, "City", "Bergen", "realtime")?;
        let source = cell(
            field(&card, "City")
                .get("sourceValue")
                .unwrap_or(&Value::Null),
        );
        let shown = format!(
            "{}, the source still says {source}",
            fields(&card, &["City"])
        );
        self.step("the very next read", &shown, took)
    }

    fn short_update_expires(&self) -> anyhow::Result<()> {
        let until = SystemClock::new().now().plus(SHORT).to_string();
        let watch = Stopwatch::start();
        let took = self.patch(r#"{"LoyaltyTier": "gold"}"#, &[("validUntil", &until)])?;
        let (card, _) = self.card()?;
        expect(&card, "LoyaltyTier", "gold", "realtime")?;
        let what = format!("{}, valid for {SHORT:?}", fields(&card, &["LoyaltyTier"]));
        self.step("PATCH LoyaltyTier=gold", &what, took)?;
        loop {
            let (card, _) = self.card()?;
            if field(&card, "LoyaltyTier")
                .get("origin")
                .is_some_and(|origin| origin == "source")
            {
                expect(&card, "LoyaltyTier", "silver", "source")?;
                let what = format!("{}, by itself", fields(&card, &["LoyaltyTier"]));
                return self.step("it expires", &what, watch.elapsed());
            }
            ensure!(watch.elapsed() < EXPIRY_MAX, "the update did not expire");
            ensure!(
                !self.scene.instance.client().interrupt().wait(LOOK_EVERY),
                "interrupted"
            );
        }
    }

    fn activity_stands_in_the_timeline(&self) -> anyhow::Result<Order> {
        let contact = self.hero()?.contact.clone();
        let now = SystemClock::new().now();
        let order = people::order(&mut Rng::with_seed(1), "OP-LIVE-1".to_owned(), contact, now);
        let body = people::order_json(&order).to_string();
        let watch = Stopwatch::start();
        let answer = self.scene.instance.append(ORDERS_ENTITY, &body, &[])?;
        ensure!(
            answer.status == 201,
            "the activity was answered with {}",
            answer.status
        );
        self.step(
            "POST a purchase",
            "201, found by its contact id",
            watch.elapsed(),
        )?;
        let (card, took) = self.card()?;
        let timeline = rows_of(card.get("timeline").cloned().unwrap_or_default());
        let newest = timeline.first().context("the timeline is empty")?;
        let id = cell(newest.get("ActivityId").unwrap_or(&Value::Null));
        ensure!(
            id == format!("{ORDERS_ENTITY}:{}", order.id),
            "the newest activity is {id}"
        );
        let text = |name| cell(newest.get(name).unwrap_or(&Value::Null));
        let what = format!("{} · {}", text("Title"), text("Description"));
        self.step("first in the timeline", &what, took)?;
        Ok(order)
    }

    /// The source has picked up the city and the purchase; what comes after it was read stays.
    fn refresh_clears(&self, order: Order, folder: &Path) -> anyhow::Result<()> {
        let mut people = self.scene.people.clone();
        if let Some(hero) = people.persons.first_mut() {
            hero.city = "Bergen";
        }
        people.orders.push(order);
        let parts = people.write(&folder.join("second"))?;
        let as_of = SystemClock::new().now();
        let instance = &self.scene.instance;
        let watch = Stopwatch::start();
        let job = push(instance, &source::manifest(as_of), &parts, &Silent)?;
        let took = self.patch(r#"{"Occupation": "Pilot"}"#, &[])?;
        self.step("PATCH Occupation=Pilot", "while a refresh runs", took)?;
        let job = finished(instance, &job)?;
        let report = report_of(&job)?;
        let what = format!(
            "{} overlay fields cleared, {} kept; {} activities now the source's",
            report.overlay_fields_cleared, report.overlay_fields_kept, report.activities_superseded
        );
        self.step("refreshed", &what, watch.elapsed())?;
        let (card, took) = self.card()?;
        expect(&card, "City", "Bergen", "source")?;
        expect(&card, "Occupation", "Pilot", "realtime")?;
        self.step("after it", &fields(&card, &["City", "Occupation"]), took)
    }

    fn hero(&self) -> anyhow::Result<&people::Person> {
        self.scene.people.persons.first().context("there is nobody")
    }

    fn card(&self) -> anyhow::Result<(Value, Duration)> {
        let watch = Stopwatch::start();
        let card = self.scene.instance.card(HERO)?;
        Ok((card, watch.elapsed()))
    }

    fn patch(&self, body: &str, options: &[(&str, &str)]) -> anyhow::Result<Duration> {
        let watch = Stopwatch::start();
        let answer = self.scene.instance.patch(HERO, body, options)?;
        ensure!(
            answer.status == 204,
            "the patch was answered with {}",
            answer.status
        );
        Ok(watch.elapsed())
    }

    fn step(&self, what: &str, shows: &str, took: Duration) -> anyhow::Result<()> {
        let millis = format!("{:>9.1} ms", took.as_secs_f64() * 1000.0);
        Ok(output::line(&format!(
            "{}  {}  {shows}",
            self.output.paint(Colour::Dim, &millis),
            self.output.paint(Colour::Cyan, &format!("{what:<24}"))
        ))?)
    }
}

fn finished(instance: &Instance, job: &JobView) -> anyhow::Result<JobView> {
    let job = instance.wait_for_job(&job.job_id, |_| {})?;
    if job.job_status != JobStatus::Successful {
        bail!(
            "the refresh ended as {:?}: {}",
            job.job_status,
            job.failure().unwrap_or("no reason given")
        );
    }
    Ok(job)
}

fn report_of(job: &JobView) -> anyhow::Result<&JobReport> {
    job.report().context("the job has no report")
}

/// One field of a card; `Null` where it has none of that name.
fn field<'a>(card: &'a Value, name: &str) -> &'a Value {
    let fields = card.get("fields").and_then(Value::as_array);
    let mut fields = fields.into_iter().flatten();
    fields
        .find(|field| field.get("name").is_some_and(|found| found == name))
        .unwrap_or(&Value::Null)
}

fn fields(card: &Value, names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .map(|name| {
            let field = field(card, name);
            let text = |part| cell(field.get(part).unwrap_or(&Value::Null));
            format!("{name} {} [{}]", text("value"), text("origin"))
        })
        .collect();
    shown.join(", ")
}

fn expect(card: &Value, name: &str, value: &str, origin: &str) -> anyhow::Result<()> {
    let field = field(card, name);
    let is = |part: &str, expected: &str| field.get(part).is_some_and(|found| found == expected);
    ensure!(
        is("value", value) && is("origin", origin),
        "expected {name} to be {value} from {origin}, the card says {field}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_card_that_says_something_else_is_noticed() {
        let card = json!({"fields": [
            {"name": "City", "value": "Bergen", "origin": "realtime", "sourceValue": "Oslo"},
            {"name": "FullName", "value": "Kari Nordmann", "origin": "source"}]});
        assert!(expect(&card, "City", "Bergen", "realtime").is_ok());
        assert!(expect(&card, "City", "Oslo", "realtime").is_err());
        assert!(expect(&card, "City", "Bergen", "source").is_err());
        assert!(expect(&card, "Town", "Bergen", "source").is_err());
        assert_eq!(
            fields(&card, &["FullName", "City"]),
            "FullName Kari Nordmann [source], City Bergen [realtime]"
        );
    }
}
