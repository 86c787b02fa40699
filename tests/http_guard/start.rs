//! What `serve --http` refuses at start.

use crate::common::Place;
use crate::{ANN, ann_and_bob, token_file};

/// Exit code and stderr of a server that does not start.
async fn refused(place: &Place, options: &[&str]) -> (i32, String) {
    let ended = place.serve(options).output().await.unwrap();
    (ended.status.code().unwrap(), String::from_utf8(ended.stderr).unwrap())
}

#[tokio::test]
async fn an_address_that_others_reach_needs_somebody_to_be_asked() {
    let place = Place::new();
    let (code, said) = refused(&place, &["--http", "0.0.0.0:0"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("--token-file FILE") && said.contains("127.0.0.1"),
        "{said}"
    );
    let (code, said) = refused(
        &place,
        &["--http", "0.0.0.0:0", "--oauth-issuer", "https://id.example.org"],
    )
    .await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--public-url"), "{said}");
}

#[tokio::test]
async fn a_token_file_with_a_wrong_line_is_refused_by_its_number_without_its_token() {
    let place = Place::new();
    let wrong = [
        ("ann\n".to_owned(), "line 1"),
        (format!("ann {ANN}\nbob tooshort\n"), "line 2"),
        (format!("ann {ANN}\n# x\nbob {ANN}\n"), "line 3"),
        ("# nobody\n".to_owned(), "names no caller"),
    ];
    for (text, what) in wrong {
        let file = token_file(&place, &text);
        let (code, said) = refused(
            &place,
            &["--http", "127.0.0.1:0", "--token-file", file.to_str().unwrap()],
        )
        .await;
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains(what) && !said.contains(ANN) && !said.contains("tooshort"),
            "{said}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_file_that_others_may_read_is_refused_with_what_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let file = ann_and_bob(&place);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = refused(
        &place,
        &["--http", "127.0.0.1:0", "--token-file", file.to_str().unwrap()],
    )
    .await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("chmod o-rwx"), "{said}");
}

#[tokio::test]
async fn options_of_http_are_wrong_usage_without_it() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    for options in [
        &["--token-file", file.to_str().unwrap()][..],
        &["--shared-results"],
        &["--expose-paths"],
        &["--allowed-origin", "https://a.example"],
        &["--oauth-issuer", "https://id.example.org"],
    ] {
        let (code, said) = refused(&place, options).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(options[0]) && said.contains("--http"), "{said}");
    }
}

#[tokio::test]
async fn an_issuer_without_tls_and_a_public_url_that_is_none_are_refused() {
    let place = Place::new();
    let http = ["--http", "127.0.0.1:0"];
    for (options, what) in [
        (["--oauth-issuer", "http://id.example.org"], "is not https"),
        (["--oauth-audience", "x"], "--oauth-issuer URL"),
        (["--public-url", "sat.example.org"], "--public-url"),
        (["--allowed-origin", "*"], "--allowed-origin"),
        (["--allowed-host", "*"], "--allowed-host"),
    ] {
        let (code, said) = refused(&place, &[&http[..], &options].concat()).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(what), "{said}");
    }
}

#[tokio::test]
async fn the_settings_file_says_all_of_it_too() {
    let place = Place::new();
    let config = place.folder.path().join("sat-mcp.toml");
    let http = ["--http", "0.0.0.0:0", "--config", config.to_str().unwrap()];
    for (text, what) in [
        ("[http]\nallowed_origins = [\"*\"]", "allowed_origins"),
        ("[http]\ntokens = \"x\"", "token_file"),
        ("[http]\ntoken_file = \"/nowhere/tokens\"", "/nowhere/tokens"),
        ("[oauth]\nissuer = \"https://id.example.org\"", "--public-url"),
        ("[oauth]\nscopes = [\"sat\"]", "without an issuer"),
    ] {
        std::fs::write(&config, text).unwrap();
        let (code, said) = refused(&place, &http).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(what), "{said}");
    }
}
