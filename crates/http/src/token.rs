//! Tokens of an identity provider: which credential is one, the caller that it makes, and the
//! challenge that says why it was refused.
//! Must not look into a token, nor repeat any part of it.

use actix_web::http::header::HeaderValue;
use sanntid_engine::{TokenRefusal, Tokens};
use sanntid_types::{Error, ErrorCode};

use crate::caller::Caller;
use crate::error::Failure;

/// The target of an error that is about the token.
const TOKEN: &str = "token";

/// Whether a bearer value has the shape of a token: three parts between dots.
pub(crate) fn is_token(bearer: &str) -> bool {
    bearer.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Finds out whose token it is.
pub(crate) async fn caller_of_token(token: &str, tokens: &dyn Tokens) -> Result<Caller, Failure> {
    let mut verified = tokens.verify(token);
    if let Err(TokenRefusal::UnknownKey | TokenRefusal::Unavailable) = verified {
        tokens.renewed().await;
        verified = tokens.verify(token);
    }
    match verified {
        Ok(principals) => Ok(Caller::Principal(principals)),
        Err(refusal) => Err(error(refusal).into()),
    }
}

fn error(refusal: TokenRefusal) -> Error {
    let invalid = |why: &str| {
        let text = format!("the token is refused: {why}");
        Error::new(ErrorCode::Unauthorized, text).with_target(TOKEN)
    };
    match refusal {
        TokenRefusal::Invalid(why) => invalid(why),
        TokenRefusal::UnknownKey => invalid("its key is not one of the identity provider's"),
        TokenRefusal::Unavailable => {
            let text = "no token can be checked: the identity provider's keys can't be had";
            Error::new(ErrorCode::IdentityUnavailable, text)
        }
    }
}

/// What `WWW-Authenticate` says of a refusal (RFC 6750, section 3).
pub(crate) fn challenge(error: &Error) -> HeaderValue {
    let is_about_token = error.target.as_deref() == Some(TOKEN);
    let is_quotable = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    if is_about_token && error.message.chars().all(is_quotable) {
        let text = format!(
            "Bearer error=\"invalid_token\", error_description=\"{}\"",
            error.message
        );
        if let Ok(value) = HeaderValue::from_str(&text) {
            return value;
        }
    }
    HeaderValue::from_static("Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_why_a_token_was_refused_and_nothing_of_other_credentials() {
        let refused = |refusal| challenge(&error(refusal));
        assert_eq!(
            refused(TokenRefusal::Invalid("it has expired")),
            "Bearer error=\"invalid_token\", \
             error_description=\"the token is refused: it has expired\""
        );
        assert_eq!(refused(TokenRefusal::Invalid("a \"quote\"")), "Bearer");
        assert_eq!(refused(TokenRefusal::Invalid("a\r\nb")), "Bearer");
        let key = Error::new(ErrorCode::Unauthorized, "no such key or token");
        assert_eq!(challenge(&key), "Bearer");
    }

    #[test]
    fn three_parts_are_a_token() {
        for token in ["a.b.c", "a.b.", ".."] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", "snt_00_11"] {
            assert!(!is_token(other), "{other}");
        }
    }
}
