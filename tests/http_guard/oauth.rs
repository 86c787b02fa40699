//! Callers by access tokens of an OAuth issuer.

use crate::common::Place;
use crate::issuer::{AUDIENCE, Issuer, Key, base64, forged, now};
use crate::server::{Caller, Server, initialize};
use crate::{ANN, ann_and_bob};
use serde_json::{Value, json};

/// Status and challenge of a request with this token.
async fn with(server: &Server, token: &str) -> (u16, String) {
    let answer = Caller::new(server, Some(token)).post(&initialize()).await;
    let challenge = answer.headers().get("www-authenticate");
    let challenge = challenge.map(|text| text.to_str().unwrap().to_owned());
    (answer.status().as_u16(), challenge.unwrap_or_default())
}

#[tokio::test]
async fn a_client_finds_out_where_to_get_a_token() {
    let key = Key::p256("one");
    let issuer = Issuer::start(&[&key]).await;
    let server = Server::alone(&issuer.options()).await;
    let nobody = Caller::new(&server, None);
    let answer = nobody.post(&initialize()).await;
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    let place = "resource_metadata=\"https://sat.example.org/.well-known/oauth-protected-resource/mcp\"";
    assert!(
        challenge.contains(place) && challenge.contains("scope=\"sat\""),
        "{challenge}"
    );
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let answer = nobody.request("GET", &server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(document["resource"], AUDIENCE);
        assert_eq!(document["authorization_servers"], json!([issuer.name]));
        assert_eq!(document["scopes_supported"], json!(["sat"]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
}

#[tokio::test]
async fn tokens_made_for_us_are_taken_whatever_key_of_the_issuers_signed_them() {
    let (p256, rsa) = (Key::p256("one"), Key::rsa("two"));
    let issuer = Issuer::start(&[&p256, &rsa]).await;
    let server = Server::alone(&issuer.options()).await;
    let claims = issuer.claims("ann");
    for key in [&p256, &rsa] {
        assert_eq!(with(&server, &key.sign(&claims)).await.0, 200);
    }
    let mut other = claims.clone();
    other["aud"] = json!(["https://elsewhere.example", AUDIENCE]);
    other["scope"] = Value::Null;
    other["scp"] = json!(["sat", "openid"]);
    assert_eq!(with(&server, &p256.sign(&other)).await.0, 200);
    let mut machine = claims.clone();
    machine.as_object_mut().unwrap().remove("sub");
    machine["client_id"] = json!("a-machine");
    assert_eq!(with(&server, &p256.sign(&machine)).await.0, 200);
}

#[tokio::test]
async fn a_token_that_is_wrong_in_any_way_is_refused() {
    let (key, stranger) = (Key::p256("one"), Key::p256("one"));
    let issuer = Issuer::start(&[&key]).await;
    let server = Server::alone(&issuer.options()).await;
    let good = issuer.claims("ann");
    let but = |name: &str, value: Value| {
        let mut claims = good.clone();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.into(), value),
        };
        claims
    };
    let header = json!({"alg": "none", "typ": "JWT", "kid": "one"});
    let public = key.public.to_string();
    let signed = key.sign(&good);
    let (head, rest) = signed.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let wrong = [
        ("expired", key.sign(&but("exp", json!(now() - 3600)))),
        ("without an end", key.sign(&but("exp", Value::Null))),
        ("not yet", key.sign(&but("nbf", json!(now() + 3600)))),
        (
            "another issuer's",
            key.sign(&but("iss", json!("https://id.example.org"))),
        ),
        (
            "an issuer among several",
            key.sign(&but("iss", json!([issuer.name, "https://id.example.org"]))),
        ),
        ("no issuer's", key.sign(&but("iss", Value::Null))),
        (
            "for another audience",
            key.sign(&but("aud", json!("https://sat.example.org"))),
        ),
        ("for nobody", key.sign(&but("aud", Value::Null))),
        ("nobody's", key.sign(&but("sub", Value::Null))),
        ("signed by a stranger", stranger.sign(&good)),
        ("unsigned", forged(&header, &good, None)),
        (
            "signed with the public key",
            forged(&header, &good, Some(public.as_bytes())),
        ),
        (
            "signed with the public point",
            forged(&header, &good, Some(key.public["x"].as_str().unwrap().as_bytes())),
        ),
        (
            "altered",
            format!(
                "{head}.{}.{signature}",
                base64(issuer.claims("eve").to_string().as_bytes())
            ),
        ),
        ("of an unknown key", Key::p256("other").sign(&good)),
        ("no token", "x".repeat(40)),
        ("no token either", "a.b.c".to_owned()),
    ];
    for (what, token) in wrong {
        let (status, challenge) = with(&server, &token).await;
        assert_eq!(status, 401, "{what}");
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
        assert!(
            challenge.contains("resource_metadata=\"https://sat.example.org/"),
            "{what}: {challenge}"
        );
        assert!(!server.log().contains(&token), "{what}");
    }
    assert_eq!(with(&server, &signed).await.0, 200);
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_which_it_lacks() {
    let key = Key::p256("one");
    let issuer = Issuer::start(&[&key]).await;
    let server = Server::alone(&issuer.options()).await;
    let mut claims = issuer.claims("ann");
    for scope in [json!("openid saturn"), json!(""), Value::Null] {
        claims["scope"] = scope;
        let (status, challenge) = with(&server, &key.sign(&claims)).await;
        assert_eq!(status, 403);
        assert!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"sat\""),
            "{challenge}"
        );
    }
}

#[tokio::test]
async fn new_keys_of_the_issuers_are_found_when_a_token_names_one() {
    let (old, new) = (Key::p256("old"), Key::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let options = [&issuer.options()[..], &["--oauth-retry", "0"]].concat();
    let server = Server::alone(&options).await;
    let claims = issuer.claims("ann");
    assert_eq!(with(&server, &old.sign(&claims)).await.0, 200);
    assert_eq!(with(&server, &new.sign(&claims)).await.0, 401);
    issuer.publish(&[&new]);
    assert_eq!(with(&server, &new.sign(&claims)).await.0, 200);
    assert_eq!(with(&server, &old.sign(&claims)).await.0, 401);
}

#[tokio::test]
async fn the_issuer_is_asked_once_for_many_requests_and_made_up_keys() {
    let key = Key::p256("one");
    let issuer = Issuer::start(&[&key]).await;
    let options = [&issuer.options()[..], &["--oauth-retry", "86400"]].concat();
    let server = Server::alone(&options).await;
    for number in 0..20 {
        assert_eq!(with(&server, &key.sign(&issuer.claims("ann"))).await.0, 200);
        let made_up = Key::p256(&format!("made up {number}"));
        assert_eq!(with(&server, &made_up.sign(&issuer.claims("ann"))).await.0, 401);
    }
    assert_eq!(issuer.asked_for_keys(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_called_a_liar() {
    let key = Key::p256("one");
    let issuer = Issuer::start(&[&key]).await;
    issuer.go_down(true);
    let place = Place::new();
    let file = ann_and_bob(&place);
    let tokens = ["--oauth-retry", "0", "--token-file", file.to_str().unwrap()];
    let server = Server::start(&place, &[&issuer.options()[..], &tokens].concat()).await;
    let token = key.sign(&issuer.claims("ann"));
    let answer = Caller::new(&server, Some(&token)).post(&initialize()).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(answer.text().await.unwrap().contains("issuer"));
    // The token file needs no issuer.
    assert_eq!(with(&server, ANN).await.0, 200);
    issuer.go_down(false);
    assert_eq!(with(&server, &token).await.0, 200);
    // What is known stays known.
    issuer.go_down(true);
    assert_eq!(with(&server, &token).await.0, 200);
    let unknown = Key::p256("two").sign(&issuer.claims("ann"));
    assert_eq!(with(&server, &unknown).await.0, 503);
}

#[tokio::test]
async fn metadata_of_another_issuer_are_not_believed() {
    let key = Key::p256("one");
    let issuer = Issuer::start(&[&key]).await;
    issuer.call_itself("https://evil.example.org");
    let server = Server::alone(&issuer.options()).await;
    assert_eq!(with(&server, &key.sign(&issuer.claims("ann"))).await.0, 503);
    assert_eq!(issuer.asked_for_keys(), 0);
}
