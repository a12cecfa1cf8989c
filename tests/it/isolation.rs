//! Several callers on several instances: nobody ever sees another's data, and what one does changes
//! no answer of another.

mod neighbours;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use sanntid_testkit::{Answer, Http, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
const CUSTOMERS: usize = 3;
/// Rounds of one history.
const STEPS: usize = 250;

/// One instance as the model has it: everything in it carries its mark.
struct Tenant {
    sample: Sample,
    mark: &'static str,
    /// Customer → the value of `City` that shows.
    cities: BTreeMap<String, String>,
    /// Customer → ids of the activities that show, beside those of the source.
    activities: BTreeMap<String, BTreeSet<String>>,
    /// Ids that only this instance has: of jobs, uploads and the like.
    ids: Vec<(&'static str, String)>,
}

/// Who calls, and where they are at home.
struct Caller {
    http: Http,
    /// `None` is the operator, who is at home everywhere.
    home: Option<usize>,
    may_write: bool,
}

struct World {
    _server: TestServer,
    tenants: Vec<Tenant>,
    callers: Vec<Caller>,
    rng: Rng,
    /// Counts values, so that each is another.
    count: usize,
}

impl Tenant {
    fn new(http: &Http, mark: &'static str) -> Self {
        let sample = Sample::create(http);
        let name = json!({"name": format!("{mark} instance")});
        http.json(
            "PATCH",
            &sample.path("/V2"),
            &json!({"instanceMetadata": name}),
        );
        let customers = Sample::customers(CUSTOMERS)
            .replace("Oslo", &format!("{mark}-Oslo"))
            .replace("Name ", &format!("{mark}-Name "));
        let orders = Sample::orders(CUSTOMERS).replace("Order ", &format!("{mark}-Order "));
        let job = sample.load(FIRST, &customers, &orders);
        assert_eq!(job["jobStatus"], "successful", "{job}");
        let opened = http
            .json("POST", &sample.path("/snapshots"), &Sample::manifest(FIRST))
            .expect(201)
            .json();
        let customers = (1..=CUSTOMERS).map(|number| format!("C{number}"));
        let cities = customers
            .clone()
            .zip(1..)
            .map(|(id, number)| (id, format!("{mark}-Oslo {number}")));
        let ids = vec![
            ("job", job["jobId"].as_str().unwrap().to_owned()),
            (
                "snapshot",
                opened["snapshotId"].as_str().unwrap().to_owned(),
            ),
        ];
        Self {
            cities: cities.collect(),
            activities: customers.map(|id| (id, BTreeSet::new())).collect(),
            ids,
            mark,
            sample,
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let server = TestServer::start();
        let operator = server.http.clone();
        let marks = ["alfa", "bravo", "charlie"];
        let tenants: Vec<Tenant> = marks.map(|mark| Tenant::new(&operator, mark)).into();
        let mut callers = vec![Caller {
            http: operator.clone(),
            home: None,
            may_write: true,
        }];
        for (home, role) in [(0, "viewer"), (1, "contributor"), (2, "administrator")] {
            let keys = tenants[home].sample.path("/manage/keys");
            operator
                .json("PUT", &keys, &json!({"role": role}))
                .expect(200);
            for name in ["primary", "secondary"] {
                let made = operator.send("POST", &format!("{keys}/{name}/regenerate"), &[], b"");
                let key = made.expect(200).json()["key"].as_str().unwrap().to_owned();
                callers.push(Caller {
                    http: Http::new(server.address(), Some(&key)),
                    home: Some(home),
                    may_write: role != "viewer",
                });
            }
        }
        Self {
            _server: server,
            tenants,
            callers,
            rng: Rng::with_seed(seed),
            count: 0,
        }
    }

    /// Checks that an answer holds nothing of an instance that its caller may not see.
    fn check_marks(&self, caller: usize, asked: usize, answer: &Answer, what: &str) {
        let home = self.callers[caller].home;
        let text = answer.text();
        for (index, tenant) in self.tenants.iter().enumerate() {
            // The operator sees all, but not one instance in an answer about another.
            let may_see = index == home.unwrap_or(asked) && index == asked;
            if may_see {
                continue;
            }
            assert!(
                !text.contains(tenant.mark),
                "{what} shows {}: {text}",
                tenant.mark
            );
            for (kind, id) in &tenant.ids {
                let was_sent = what.contains(id.as_str());
                assert!(
                    was_sent || !text.contains(id.as_str()),
                    "{what} shows a {kind}: {text}"
                );
            }
        }
    }

    fn customer(&mut self) -> String {
        format!("C{}", self.rng.usize(1..=CUSTOMERS))
    }

    fn value(&mut self, tenant: usize) -> String {
        self.count += 1;
        format!("{}-{}", self.tenants[tenant].mark, self.count)
    }

    /// One call of somebody to some instance, compared with the model.
    fn step(&mut self) {
        let caller = self.rng.usize(..self.callers.len());
        let tenant = self.rng.usize(..self.tenants.len());
        let is_in = self.callers[caller].home.is_none_or(|home| home == tenant);
        let may_write = is_in && self.callers[caller].may_write;
        match self.rng.u8(..12) {
            0..=2 => self.patch(caller, tenant, is_in, may_write),
            3..=5 => self.append(caller, tenant, is_in, may_write),
            6..=9 => self.read(caller, tenant, is_in),
            10 => self.erase(caller, tenant, is_in),
            _ => self.foreign_id(caller, tenant, is_in),
        }
    }

    fn send(&self, caller: usize, tenant: usize, call: (&str, &str), body: &Value) -> Answer {
        let (method, rest) = call;
        let path = self.tenants[tenant].sample.path(rest);
        let http = &self.callers[caller].http;
        let answer = match body {
            Value::Null => http.send(method, &path, &[], b""),
            body => http.json(method, &path, body),
        };
        let what = format!("{method} {path} by {:?}", self.callers[caller].home);
        self.check_marks(caller, tenant, &answer, &what);
        answer
    }

    fn patch(&mut self, caller: usize, tenant: usize, is_in: bool, may_write: bool) {
        let (id, value) = (self.customer(), self.value(tenant));
        let rest = format!("/data/Customer('{id}')");
        let answer = self.send(caller, tenant, ("PATCH", &rest), &json!({"City": value}));
        assert_eq!(
            answer.status,
            status(is_in, may_write, 204),
            "{}",
            answer.text()
        );
        if may_write {
            self.tenants[tenant].cities.insert(id, value);
        }
    }

    /// All instances use the same ids: none is in another's way.
    fn append(&mut self, caller: usize, tenant: usize, is_in: bool, may_write: bool) {
        let id = self.customer();
        let activity = format!("visit-{}", self.rng.u8(..20));
        let title = format!("{}-title-{activity}-{id}", self.tenants[tenant].mark);
        let body = json!({"ActivityId": activity, "CustomerId": id, "Title": title,
            "ActivityTime": "2026-11-20T11:00:00Z", "ActivityType": "Visit"});
        let answer = self.send(caller, tenant, ("POST", "/data/UnifiedActivity"), &body);
        let all = &mut self.tenants[tenant].activities;
        let holder = all.iter().find(|(_, its)| its.contains(&activity));
        let expected = match holder {
            Some((holder, _)) if *holder != id => 409,
            _ => 201,
        };
        assert_eq!(
            answer.status,
            status(is_in, may_write, expected),
            "{}",
            answer.text()
        );
        if may_write && expected == 201 {
            all.get_mut(&id).unwrap().insert(activity);
        }
    }

    fn read(&mut self, caller: usize, tenant: usize, is_in: bool) {
        let id = self.customer();
        let expected = status(is_in, true, 200);
        let rest = format!("/data/Customer('{id}')");
        let one = self.send(caller, tenant, ("GET", &rest), &Value::Null);
        assert_eq!(one.status, expected, "{}", one.text());
        let rest = format!("/customers/{id}/timeline?top=1000");
        let timeline = self.send(caller, tenant, ("GET", &rest), &Value::Null);
        assert_eq!(timeline.status, expected);
        let more = [
            "/data/Customer?$count=true&explain=true",
            "/data/UnifiedActivity?$filter=CustomerId%20eq%20'C1'",
            "/exports/Customer",
            "/exports/UnifiedActivity",
            "/workflows/main/jobs",
            "/snapshots",
            "/customers/C1/card",
            "/manage/entities",
            "",
        ];
        let rest = more[self.rng.usize(..more.len())];
        let any = self.send(caller, tenant, ("GET", rest), &Value::Null);
        assert_eq!(any.status, expected, "{rest}: {}", any.text());
        if is_in {
            let model = &self.tenants[tenant];
            assert_eq!(one.json()["City"], model.cities[&id]);
            let ids = timeline.json()["value"].as_array().unwrap().clone();
            let ids: BTreeSet<String> = ids
                .iter()
                .map(|entry| entry["ActivityId"].as_str().unwrap().to_owned())
                .filter(|activity| activity.starts_with("visit-"))
                .collect();
            assert_eq!(ids, model.activities[&id]);
        }
    }

    fn erase(&mut self, caller: usize, tenant: usize, is_in: bool) {
        let id = self.customer();
        let may = is_in && self.callers[caller].home.is_none_or(|home| home == 2);
        let rest = format!("/customers/{id}/realtime");
        let answer = self.send(caller, tenant, ("DELETE", &rest), &Value::Null);
        assert_eq!(answer.status, status(is_in, may, 200), "{}", answer.text());
        if may {
            let model = &mut self.tenants[tenant];
            let activities = model
                .activities
                .insert(id.clone(), BTreeSet::new())
                .unwrap();
            assert_eq!(answer.json()["activities"], activities.len());
            let source = format!("{}-Oslo {}", model.mark, &id[1..]);
            model.cities.insert(id, source);
        }
    }

    /// An id of another instance is answered as one that nobody has.
    fn foreign_id(&mut self, caller: usize, tenant: usize, is_in: bool) {
        let other = (tenant + self.rng.usize(1..self.tenants.len())) % self.tenants.len();
        let nobodys = "0190b2f0-0000-7000-8000-000000000000";
        for (kind, id) in self.tenants[other].ids.clone() {
            let rest = |id: &str| match kind {
                "job" => format!("/workflows/main/jobs/{id}"),
                _ => format!("/snapshots/{id}/commit"),
            };
            let method = if kind == "job" { "GET" } else { "POST" };
            let ask = |id: &str| {
                let answer = self.send(caller, tenant, (method, &rest(id)), &Value::Null);
                let text = answer.text().replace(id, "ID");
                (answer.status, without_request_id(&text))
            };
            let (foreign, unknown) = (ask(&id), ask(nobodys));
            assert_eq!(foreign, unknown, "{kind} of another instance");
            assert!(
                !is_in || foreign.0 == 404 || foreign.0 == 403,
                "{foreign:?}"
            );
        }
        if !is_in {
            let path = self.tenants[tenant].sample.path("/data/Customer");
            let nowhere = format!("/api/instances/{nobodys}/data/Customer");
            let http = &self.callers[caller].http;
            let texts = [
                (path, self.tenants[tenant].sample.instance.as_str()),
                (nowhere, nobodys),
            ];
            let [foreign, unknown] = texts.map(|(path, id)| {
                let answer = http.get(&path);
                (
                    answer.status,
                    without_request_id(&answer.text().replace(id, "ID")),
                )
            });
            assert_eq!(
                foreign, unknown,
                "an instance in which the caller has no role"
            );
        }
    }

    /// Everybody's data are as the model has them, and whoever has no key is let in nowhere.
    fn check_all(&self) {
        for (index, tenant) in self.tenants.iter().enumerate() {
            for (id, city) in &tenant.cities {
                let rest = format!("/data/Customer('{id}')");
                let read = self
                    .send(0, index, ("GET", &rest), &Value::Null)
                    .expect(200);
                assert_eq!(read.json()["City"], *city);
            }
            for key in [None, Some("snt_wrong"), Some("")] {
                let nobody = Http::new(self.callers[0].http.address(), key);
                let answer = nobody.get(&tenant.sample.path("/data/Customer"));
                assert_eq!(answer.status, 401, "{key:?}");
                assert!(!answer.text().contains(tenant.mark));
            }
        }
    }
}

/// The status for whoever is in the instance or not, and may do it or not.
fn status(is_in: bool, may: bool, good: u16) -> u16 {
    match (is_in, may) {
        (false, _) => 404,
        (true, false) => 403,
        (true, true) => good,
    }
}

fn without_request_id(text: &str) -> String {
    let Ok(mut body) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    if let Some(fields) = body.as_object_mut() {
        fields.remove("requestId");
    }
    body.to_string()
}

#[test]
fn random_histories_of_several_callers_never_mix_instances() {
    for seed in [1, 42, 20_261_123] {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.check_all();
    }
}
