//! What each operation needs of its caller, and the one place where that is asked.
//! Owns the rule; the table of routes says what applies to which operation.

use actix_web::HttpMessage as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use sanntid_types::{Error, ErrorCode, InstanceAccess, InstanceId, Role};

use crate::caller::Caller;
use crate::error::Failure;
use crate::limits;
use crate::observe::Operations;
use crate::request;
use crate::server::Shared;

/// What an operation needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it holds no data.
    Nothing,
    /// A caller whom we know.
    Known,
    /// At least this role in the instance that the path names.
    Role(Role),
    /// The server's operator.
    Operator,
}

impl Needs {
    /// What the OpenAPI document calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Known => "known",
            Self::Role(role) => role.name(),
            Self::Operator => "operator",
        }
    }
}

/// Lets a request through to its handler, or refuses it. Surrounds every resource.
pub(crate) async fn authorize(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match check(&request) {
        Ok(()) => limits::admit(request, next).await,
        Err(failure) => Ok(request.error_response(failure)),
    }
}

fn check(request: &ServiceRequest) -> Result<(), Failure> {
    let is_of_instance = request.match_info().get("instanceId").is_some();
    let operations = request.app_data::<Operations>();
    let needs = operations.map_or(Needs::Known, |operations| {
        let needs = operations.needs(request.method());
        needs.unwrap_or_else(|| operations.needs_otherwise(is_of_instance))
    });
    let caller = request.extensions().get::<Caller>().cloned();
    let Some(caller) = caller else {
        // `observe` has let nobody in without a caller but to what is open.
        return match needs {
            Needs::Nothing => Ok(()),
            Needs::Known | Needs::Role(_) | Needs::Operator => Err(unknown().into()),
        };
    };
    let shared = request
        .app_data::<Data<Shared>>()
        .expect("every application holds its shared state");
    if !is_of_instance {
        return Ok(allow(&caller, needs)?);
    }
    let request::Instance(instance) = request::instance(request.request())?;
    allow_now(shared, &caller, needs, instance)
}

/// Whether a caller may do something in an instance as things stand: what one request brings piece
/// by piece is asked about again and again.
pub(crate) fn allow_now(
    shared: &Shared,
    caller: &Caller,
    needs: Needs,
    instance: InstanceId,
) -> Result<(), Failure> {
    if caller.is_operator() {
        return Ok(());
    }
    let access = shared.access_of(instance)?;
    Ok(allow_in(caller, needs, instance, access.as_deref())?)
}

fn allow(caller: &Caller, needs: Needs) -> Result<(), Error> {
    match needs {
        Needs::Nothing | Needs::Known => Ok(()),
        Needs::Operator | Needs::Role(_) if caller.is_operator() => Ok(()),
        Needs::Operator | Needs::Role(_) => Err(too_low("the server's operator")),
    }
}

/// Whether a caller may do in an instance what needs that; of an instance in which they have no role
/// they learn no more than that there is none (rules 7.3).
fn allow_in(
    caller: &Caller,
    needs: Needs,
    instance: InstanceId,
    access: Option<&InstanceAccess>,
) -> Result<(), Error> {
    let role = access.and_then(|access| caller.role_in(instance, access));
    let (Some(access), Some(role)) = (access, role) else {
        return Err(match caller {
            // It was taken a moment ago.
            Caller::Key(key) if key.instance == instance => unknown(),
            _ => request::no_instance(instance),
        });
    };
    // Else nobody but the operator could switch it on again.
    if !access.keys.enabled && role < Role::Administrator {
        let text = "API access to this instance is disabled; an administrator can enable it";
        return Err(Error::new(ErrorCode::Forbidden, text));
    }
    match needs {
        Needs::Nothing | Needs::Known => Ok(()),
        Needs::Role(needed) if role >= needed => Ok(()),
        Needs::Role(needed) => Err(too_low(&format!("the role {}", needed.name()))),
        Needs::Operator => Err(too_low("the server's operator")),
    }
}

fn unknown() -> Error {
    Error::new(ErrorCode::Unauthorized, "no such key or token")
}

fn too_low(needed: &str) -> Error {
    Error::new(ErrorCode::Forbidden, format!("this needs {needed}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sanntid_types::{Assignment, PrincipalId, PrincipalType, Principals};
    use uuid::Uuid;

    use super::*;

    const ONE: InstanceId = InstanceId(Uuid::from_u128(1));

    fn kari(is_operator: bool) -> Caller {
        let id = PrincipalId::parse("kari").unwrap();
        let mut principals = Principals::new(id, PrincipalType::User, Vec::new());
        principals.is_operator = is_operator;
        Caller::Principal(Arc::new(principals))
    }

    /// What Kari may do with a role in an instance.
    fn code(role: Option<Role>, enabled: bool, needs: Needs) -> Option<ErrorCode> {
        let mut access = InstanceAccess::default();
        access.keys.enabled = enabled;
        access.assignments.extend(role.map(|role| Assignment {
            principal: PrincipalId::parse("kari").unwrap(),
            kind: PrincipalType::User,
            roles: vec![role],
        }));
        let answer = allow_in(&kari(false), needs, ONE, Some(&access));
        answer.err().map(|error| error.code)
    }

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        for (has, role) in Role::ALL.into_iter().enumerate() {
            for (needed, needs) in Role::ALL.into_iter().enumerate() {
                let refused = (has < needed).then_some(ErrorCode::Forbidden);
                assert_eq!(
                    code(Some(role), true, Needs::Role(needs)),
                    refused,
                    "{role:?} {needs:?}"
                );
            }
            assert_eq!(code(Some(role), true, Needs::Known), None);
            assert_eq!(
                code(Some(role), true, Needs::Operator),
                Some(ErrorCode::Forbidden)
            );
        }
    }

    #[test]
    fn without_a_role_an_instance_is_as_one_that_does_not_exist() {
        let all = Role::ALL.map(Needs::Role);
        for needs in all
            .into_iter()
            .chain([Needs::Nothing, Needs::Known, Needs::Operator])
        {
            for enabled in [true, false] {
                assert_eq!(
                    code(None, enabled, needs),
                    Some(ErrorCode::InstanceNotFound)
                );
            }
            let nowhere = allow_in(&kari(false), needs, ONE, None).unwrap_err();
            let elsewhere = allow_in(&kari(false), needs, ONE, Some(&InstanceAccess::default()));
            assert_eq!(elsewhere, Err(nowhere));
        }
    }

    #[test]
    fn while_the_api_is_disabled_administrators_alone_are_let_in() {
        for needs in [Needs::Known, Needs::Role(Role::Viewer)] {
            for role in [Role::Viewer, Role::Contributor] {
                assert_eq!(code(Some(role), false, needs), Some(ErrorCode::Forbidden));
            }
            assert_eq!(code(Some(Role::Administrator), false, needs), None);
        }
    }

    #[test]
    fn beside_instances_there_are_the_operator_and_the_known() {
        for (caller, needs, is_allowed) in [
            (kari(false), Needs::Nothing, true),
            (kari(false), Needs::Known, true),
            (kari(false), Needs::Operator, false),
            // No operation is so; if one were, nobody but the operator may call it.
            (kari(false), Needs::Role(Role::Viewer), false),
            (kari(true), Needs::Operator, true),
            (Caller::Operator, Needs::Operator, true),
        ] {
            assert_eq!(
                allow(&caller, needs).is_ok(),
                is_allowed,
                "{caller:?} {needs:?}"
            );
        }
    }
}
