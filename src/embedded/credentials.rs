//! A CA, a server certificate and a token for one run, and the kubeconfig that carries them.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// The name of the embedded cluster's context.
pub const CONTEXT: &str = "footlights-embedded";

/// What a client needs to be let in, and what the server needs to be trusted.
pub struct Credentials {
    /// The bearer token.
    pub token: String,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// For the listener.
    pub tls: Arc<rustls::ServerConfig>,
}

impl Credentials {
    /// Makes fresh ones for 127.0.0.1.
    pub fn generate() -> Result<Self> {
        let ca_key = KeyPair::generate().context("generating the CA's key")?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "Footlights embedded cluster");
        let signed = ca.self_signed(&ca_key)?;
        let (ca_pem, ca_der) = (signed.pem(), signed.der().clone());
        let issuer = Issuer::new(ca, ca_key);

        let key = KeyPair::generate().context("generating the server's key")?;
        let names = ["127.0.0.1", "localhost", "kubernetes"].map(str::to_owned);
        let mut server = CertificateParams::new(names.to_vec())?;
        server
            .distinguished_name
            .push(rcgen::DnType::CommonName, "footlights");
        let certificate = server.signed_by(&key, &issuer)?;
        // A certificate of this CA lets in as the token does; none is asked for.
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca_der)?;
        let clients = WebPkiClientVerifier::builder(roots.into())
            .allow_unauthenticated()
            .build()
            .context("setting up client certificates")?;
        let mut tls = rustls::ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
            )
            .context("setting up TLS")?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Credentials {
            token: token(),
            ca_pem,
            issuer,
            tls: Arc::new(tls),
        })
    }

    /// A client's certificate and its key, both PEM.
    pub fn client_certificate(&self) -> Result<(String, String)> {
        let key = KeyPair::generate().context("generating a client's key")?;
        let mut client = CertificateParams::new(Vec::new())?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        client
            .distinguished_name
            .push(rcgen::DnType::CommonName, "footlights-client");
        let certificate = client.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Writes a kubeconfig for `server`, readable by its owner only.
    pub fn write_kubeconfig(&self, path: &Path, server: &str) -> Result<()> {
        let text = format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: {CONTEXT}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\n\
             users:\n\
             - name: {CONTEXT}\n  user:\n    token: {token}\n\
             contexts:\n\
             - name: {CONTEXT}\n  context:\n    cluster: {CONTEXT}\n    user: {CONTEXT}\n    \
             namespace: default\n\
             current-context: {CONTEXT}\n",
            ca = STANDARD.encode(&self.ca_pem),
            token = self.token,
        );
        if let Ok(known) = std::fs::read_to_string(path) {
            if !known.contains(&format!("current-context: {CONTEXT}\n")) {
                bail!(
                    "{} is there already and is not of an embedded cluster: name another file",
                    path.display()
                );
            }
            let server = known
                .lines()
                .find_map(|l| l.trim().strip_prefix("server: https://"));
            if server.is_some_and(|s| TcpStream::connect(s).is_ok()) {
                bail!(
                    "{} leads to an embedded cluster that runs: name another file, or end that one",
                    path.display()
                );
            }
            // Made anew, so that its mode is ours.
            std::fs::remove_file(path).with_context(|| format!("replacing {}", path.display()))?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing the kubeconfig {}", path.display()))
    }
}

fn token() -> String {
    let mut bytes = [0_u8; 32];
    // ring's generator is the operating system's; it fails only where nothing else would work.
    let filled = rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes);
    debug_assert!(filled.is_ok());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
