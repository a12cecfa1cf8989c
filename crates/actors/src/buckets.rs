//! Owns which buckets may be read, and with which secret of the configuration.
//!
//! Must not read from them.

use sanntid_sources::{BucketLimits, BucketSecret, Buckets, Place, StopCheck};
use sanntid_types::{BucketLocation, Error, ErrorCode};

use crate::{config::Config, node::Shared};

/// The setting that says which buckets may be read.
const BUCKETS: &str = "actors.data_source_buckets";
/// Longest name of a secret that a message repeats, in characters.
const NAME_SHOWN_MAX: usize = 64;

/// Opens buckets with the times of a configuration.
pub(crate) fn of_config(config: &Config) -> Buckets {
    Buckets::new(BucketLimits {
        connect_timeout: config.bucket_connect_timeout,
        stall_timeout: config.bucket_stall_timeout,
        retries_max: config.bucket_retries_max,
        retry_wait: config.bucket_retry_wait,
    })
}

impl Shared {
    /// Checks that a bucket may be read and that there is what it takes; calls nobody.
    ///
    /// # Errors
    /// `InvalidArgument`: its location lies in none that is allowed, or the secret is unknown, for
    /// another service, or can't be used.
    pub(crate) fn check_bucket(
        &self,
        location: &BucketLocation,
        credentials: Option<&str>,
    ) -> Result<(), Error> {
        let secret = secret_of(&self.config, location, credentials)?;
        let checked = self.buckets.check(location, secret);
        checked.map_err(|error| invalid("credentials", error.to_string()))
    }

    /// Opens a bucket that may be read.
    ///
    /// # Errors
    /// As [`Self::check_bucket`].
    pub(crate) fn open_bucket(
        &self,
        location: &BucketLocation,
        credentials: Option<&str>,
        stop: StopCheck,
    ) -> Result<Place, Error> {
        let secret = secret_of(&self.config, location, credentials)?;
        let opened = self.buckets.open(location, secret, stop);
        opened.map_err(|error| invalid("credentials", error.to_string()))
    }
}

fn secret_of<'a>(
    config: &'a Config,
    location: &BucketLocation,
    credentials: Option<&str>,
) -> Result<&'a BucketSecret, Error> {
    if config.data_source_buckets.is_empty() {
        let text = format!(
            "this server reads no buckets: its configuration names none that data sources may lie \
             in ({BUCKETS})"
        );
        return Err(invalid("location", text));
    }
    let mut allowed = config.data_source_buckets.iter();
    let is_within = |outer: &BucketLocation| location.is_within(outer);
    if !allowed.any(|outer| outer.bucket().is_some_and(is_within)) {
        let text = format!(
            "the location is in none of the buckets and prefixes that the configuration allows \
             ({BUCKETS})"
        );
        return Err(invalid("location", text));
    }
    let Some(name) = credentials else {
        let text = "a bucket is read with credentials: name a secret of the configuration";
        return Err(invalid("credentials", text.to_owned()));
    };
    let Some(secret) = config.secrets.get(name) else {
        let shown: String = name.chars().take(NAME_SHOWN_MAX).collect();
        let text = format!("the server's configuration has no secret {shown:?} (secrets.NAME)");
        return Err(invalid("credentials", text));
    };
    if secret.service() != location.service() {
        let text = format!(
            "the secret {name} is for {}://, the location is {}://",
            secret.service().scheme(),
            location.service().scheme()
        );
        return Err(invalid("credentials", text));
    }
    Ok(secret)
}

fn invalid(target: &str, text: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, text).with_target(target)
}

#[cfg(test)]
mod tests {
    use sanntid_types::{Location, Secret};

    use super::*;

    #[test]
    fn a_bucket_is_read_only_where_it_is_allowed_and_with_a_secret_that_fits() {
        let place = |text: &str| Location::parse(text).unwrap();
        let mut config = Config {
            data_source_buckets: vec![place("s3://shop/in"), place("az://shop")],
            ..Config::default()
        };
        let azure = BucketSecret {
            account: Some("a".to_owned()),
            sas: Some(Secret::new("hidden")),
            ..BucketSecret::default()
        };
        config
            .secrets
            .insert("s".to_owned(), BucketSecret::default());
        config.secrets.insert("a".to_owned(), azure);
        let ask = |location: &str, name: Option<&str>| {
            let location = place(location);
            secret_of(&config, location.bucket().unwrap(), name).map(BucketSecret::service)
        };
        assert!(ask("s3://shop/in", Some("s")).is_ok());
        assert!(ask("s3://shop/in/deep/er", Some("s")).is_ok());
        assert!(ask("az://shop/any", Some("a")).is_ok());
        for (location, name, target, why) in [
            ("s3://shop/inn", Some("s"), "location", "in none of"),
            ("s3://shop", Some("s"), "location", "in none of"),
            ("s3://other/in", Some("s"), "location", "in none of"),
            ("s3://shop/in", None, "credentials", "with credentials"),
            ("s3://shop/in", Some("x"), "credentials", "no secret \"x\""),
            ("s3://shop/in", Some("a"), "credentials", "is for az://"),
            ("az://shop/in", Some("s"), "credentials", "is for s3://"),
        ] {
            let error = ask(location, name).expect_err(location);
            assert_eq!(error.target.as_deref(), Some(target), "{error}");
            assert!(error.message.contains(why), "{error}");
        }
        let none = Config::default();
        let location = place("s3://shop/in");
        let error = secret_of(&none, location.bucket().unwrap(), Some("s")).expect_err("none");
        assert!(error.message.contains(BUCKETS), "{error}");
    }
}
