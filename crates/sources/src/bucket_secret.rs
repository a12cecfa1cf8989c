//! What a bucket is read with: where it is and who asks. Owns which settings go together.
//! Must not show a secret, not in an error either.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use sanntid_types::{BucketLocation, BucketService, Secret};
use serde::Deserialize;

/// The region of S3 where none is named; servers that only speak its protocol take any.
const REGION: &str = "us-east-1";

/// Holds one section `[secrets.NAME]` of the configuration: with `account` it is for Azure, else for
/// S3. Without keys it asks without a signature, as public buckets allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketSecret {
    /// S3: the access key's id.
    pub access_key_id: Option<String>,
    /// S3: the access key.
    pub secret_access_key: Option<Secret>,
    /// S3: comes with keys that are valid for a while.
    pub session_token: Option<Secret>,
    /// S3: the bucket's region.
    pub region: Option<String>,
    /// Azure: the storage account.
    pub account: Option<String>,
    /// Azure: one of the account's keys.
    pub access_key: Option<Secret>,
    /// Azure: a shared access signature, in place of a key.
    pub sas: Option<Secret>,
    /// Where the service answers, if not at its usual address: `https://…`.
    pub endpoint: Option<String>,
    /// Allows an endpoint with `http://`.
    pub allow_http: bool,
}

impl BucketSecret {
    /// Whose buckets it opens.
    pub fn service(&self) -> BucketService {
        match self.account {
            Some(_) => BucketService::Azure,
            None => BucketService::S3,
        }
    }

    /// Checks what goes together.
    ///
    /// # Errors
    /// Says which setting is wrong and what was expected.
    pub fn validate(&self) -> Result<(), &'static str> {
        let of_s3 = self.access_key_id.is_some()
            || self.secret_access_key.is_some()
            || self.session_token.is_some()
            || self.region.is_some();
        let of_azure = self.account.is_some() || self.access_key.is_some() || self.sas.is_some();
        if of_s3 && of_azure {
            return Err("account, access_key and sas are Azure's, the others S3's: expected one");
        }
        if of_azure && self.account.is_none() {
            return Err("account: expected with access_key and sas");
        }
        if self.access_key.is_some() && self.sas.is_some() {
            return Err("access_key, sas: expected one of them");
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("access_key_id, secret_access_key: expected both or none");
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err("session_token: expected with access_key_id and secret_access_key");
        }
        let Some(endpoint) = &self.endpoint else {
            return Ok(());
        };
        let Some((scheme, rest)) = endpoint.split_once("://") else {
            return Err("endpoint: expected https://…");
        };
        match scheme {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err("endpoint: expected https://…, or allow_http = true"),
            _ => return Err("endpoint: expected https://…"),
        }
        if rest.is_empty() || rest.contains(['@', '?', '#']) {
            return Err("endpoint: expected a host, with a port and a path at most");
        }
        Ok(())
    }

    /// Makes a client; calls nobody.
    ///
    /// # Errors
    /// Says what is wrong, without a secret.
    pub(crate) fn client(
        &self,
        location: &BucketLocation,
        connect_timeout: Duration,
        stall_timeout: Duration,
    ) -> Result<Arc<dyn ObjectStore>, String> {
        // One provider of cryptography for the whole process; whoever comes first has set it.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let is_plain = self
            .endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_connect_timeout(connect_timeout)
            .with_read_timeout(stall_timeout)
            // A large file takes as long as it takes; what counts is that bytes come.
            .with_timeout_disabled()
            .with_allow_http(self.allow_http)
            // A machine without root certificates can still read from a server without TLS.
            .with_no_system_certificates(is_plain);
        // Retries are made by the reader, which notices a cancelled job while it waits.
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        match self.service() {
            BucketService::S3 => self.s3(location, options, retry),
            BucketService::Azure => self.azure(location, options, retry),
        }
    }

    fn s3(
        &self,
        location: &BucketLocation,
        options: ClientOptions,
        retry: RetryConfig,
    ) -> Result<Arc<dyn ObjectStore>, String> {
        let region = self.region.as_deref().unwrap_or(REGION);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(location.bucket())
            .with_region(region)
            .with_allow_http(self.allow_http)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        builder = match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(key)) => builder
                .with_access_key_id(id)
                .with_secret_access_key(key.expose()),
            _ => builder.with_skip_signature(true),
        };
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose());
        }
        match builder.build() {
            Ok(store) => Ok(Arc::new(store)),
            Err(_) => Err(self.unusable()),
        }
    }

    fn azure(
        &self,
        location: &BucketLocation,
        options: ClientOptions,
        retry: RetryConfig,
    ) -> Result<Arc<dyn ObjectStore>, String> {
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(self.account.as_deref().unwrap_or_default())
            .with_container_name(location.bucket())
            .with_allow_http(self.allow_http)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        builder = match (&self.access_key, &self.sas) {
            (Some(key), _) => builder.with_access_key(key.expose()),
            (None, Some(sas)) => {
                let sas = sas.expose().trim_start_matches('?');
                builder.with_config(object_store::azure::AzureConfigKey::SasKey, sas)
            }
            (None, None) => builder.with_skip_signature(true),
        };
        match builder.build() {
            Ok(store) => Ok(Arc::new(store)),
            Err(_) => Err(self.unusable()),
        }
    }

    /// The library's own error may hold what it could not read, which may be a key.
    fn unusable(&self) -> String {
        let fields = match self.service() {
            BucketService::S3 => "endpoint, region or the keys are malformed",
            BucketService::Azure => "endpoint, account, access_key or sas is malformed",
        };
        format!("{fields}, or this machine has no root certificates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> BucketSecret {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        for good in [
            r#"{}"#,
            r#"{"access_key_id": "a", "secret_access_key": "b", "region": "eu-north-1"}"#,
            r#"{"endpoint": "https://minio.example.com:9000"}"#,
            r#"{"endpoint": "http://127.0.0.1:9000", "allow_http": true}"#,
            r#"{"account": "a", "access_key": "b"}"#,
            r#"{"account": "a", "sas": "?sv=1&sig=2"}"#,
        ] {
            assert_eq!(secret(good).validate(), Ok(()), "{good}");
        }
        for bad in [
            r#"{"access_key_id": "a"}"#,
            r#"{"secret_access_key": "a"}"#,
            r#"{"session_token": "a"}"#,
            r#"{"access_key": "a"}"#,
            r#"{"account": "a", "access_key": "b", "sas": "c"}"#,
            r#"{"account": "a", "region": "b"}"#,
            r#"{"endpoint": "http://127.0.0.1:9000"}"#,
            r#"{"endpoint": "127.0.0.1:9000"}"#,
            r#"{"endpoint": "https://user:key@host"}"#,
            r#"{"endpoint": "https://"}"#,
        ] {
            assert!(secret(bad).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_secret_shows_nowhere() {
        let whole = secret(
            r#"{"access_key_id": "the-id", "secret_access_key": "hidden1", "session_token":
               "hidden2", "access_key": "hidden3", "sas": "hidden4"}"#,
        );
        let shown = format!("{whole:?}");
        assert!(
            shown.contains("the-id") && !shown.contains("hidden"),
            "{shown}"
        );

        let broken = secret(r#"{"account": "a", "access_key": "hidden no base64"}"#);
        let location = sanntid_types::Location::parse("az://c/p").unwrap();
        let second = Duration::from_secs(1);
        let made = broken.client(location.bucket().unwrap(), second, second);
        let error = made.expect_err("malformed");
        assert!(!error.contains("hidden"), "{error}");
    }
}
