//! An OAuth issuer on loopback, with keys that each test makes for itself.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::EncodePrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// For whom the tokens are.
pub const AUDIENCE: &str = "https://sat.example.org/mcp";

/// A key pair under a name.
#[derive(Clone)]
pub struct Key {
    id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    /// As the issuer publishes it.
    pub public: Value,
}

impl Key {
    pub fn p256(id: &str) -> Key {
        let secret = p256::SecretKey::random(&mut rsa::rand_core::OsRng);
        let point = secret.public_key().to_encoded_point(false);
        let (x, y) = (base64(point.x().unwrap()), base64(point.y().unwrap()));
        Key {
            id: id.to_owned(),
            algorithm: Algorithm::ES256,
            private: EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes()),
            public: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "use": "sig", "alg": "ES256"}),
        }
    }

    pub fn rsa(id: &str) -> Key {
        let secret = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let word = |number: &rsa::BigUint| base64(&number.to_bytes_be());
        Key {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            private: EncodingKey::from_rsa_der(secret.to_pkcs1_der().unwrap().as_bytes()),
            public: json!({"kty": "RSA", "n": word(secret.n()), "e": word(secret.e()), "kid": id}),
        }
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this header and these claims, unsigned or signed with a secret that everybody knows.
pub fn forged(header: &Value, claims: &Value, secret: Option<&[u8]>) -> String {
    if let Some(secret) = secret {
        let mut head = Header::new(Algorithm::HS256);
        head.kid = header["kid"].as_str().map(str::to_owned);
        return jsonwebtoken::encode(&head, claims, &EncodingKey::from_secret(secret)).unwrap();
    }
    format!(
        "{}.{}.",
        base64(header.to_string().as_bytes()),
        base64(claims.to_string().as_bytes())
    )
}

#[derive(Default)]
struct State {
    keys: Vec<Value>,
    name: String,
    down: bool,
    asked: Vec<String>,
}

/// The issuer's server.
pub struct Issuer {
    pub name: String,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    pub async fn start(keys: &[&Key]) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}/realms/test", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            name: name.clone(),
            ..State::default()
        }));
        let issuer = Issuer {
            name,
            state: state.clone(),
        };
        issuer.publish(keys);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![];
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let (status, body) = state.lock().unwrap().answer(path);
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        issuer
    }

    pub fn publish(&self, keys: &[&Key]) {
        self.state.lock().unwrap().keys = keys.iter().map(|key| key.public.clone()).collect();
    }

    /// What its metadata call it.
    pub fn call_itself(&self, name: &str) {
        self.state.lock().unwrap().name = name.to_owned();
    }

    pub fn go_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// How often its keys have been asked for.
    pub fn asked_for_keys(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|path| *path == "/keys").count()
    }

    /// Claims of a token that is good for an hour.
    pub fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.name, "aud": AUDIENCE, "sub": subject, "exp": now() + 3600, "scope": "openid sat"})
    }

    /// The options of a server that takes its tokens.
    pub fn options(&self) -> Vec<&str> {
        let options = [
            "--public-url",
            "https://sat.example.org",
            "--oauth-scope",
            "sat",
            "--oauth-issuer",
            &self.name,
        ];
        options.to_vec()
    }
}

impl State {
    /// Metadata lie where OpenID puts them, below the issuer's path.
    fn answer(&mut self, path: &str) -> (u16, String) {
        self.asked.push(path.to_owned());
        let base = self.name.split("/realms").next().unwrap_or_default();
        match path {
            _ if self.down => (500, "down".into()),
            "/realms/test/.well-known/openid-configuration" => {
                let metadata = json!({"issuer": self.name, "jwks_uri": format!("{base}/keys")});
                (200, metadata.to_string())
            }
            "/keys" => (200, json!({"keys": self.keys}).to_string()),
            _ => (404, "nothing here".into()),
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
