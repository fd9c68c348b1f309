//! Kubeconfigs as data: one context of them, with nothing besides.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What a context needs, in a kubeconfig of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Minified {
    /// The kubeconfig: JSON, which is YAML too.
    pub kubeconfig: Value,
    /// The API server's URL.
    pub server: String,
    /// What vouches for the server: the CA's text, `insecure`, or nothing for the system's CAs.
    pub authority: String,
}

/// Takes one context out of kubeconfigs, each with the directory that its paths start from. Of several
/// entries of one name the first counts, as with kubectl.
pub fn minify(configs: &[(&Path, Value)], name: &str) -> Result<Minified> {
    let context = find(configs, "contexts", name).map(|(_, entry)| entry["context"].clone());
    let Some(context) = context else {
        let known: Vec<&str> = configs
            .iter()
            .flat_map(|(_, config)| config["contexts"].as_array())
            .flatten()
            .filter_map(|entry| entry["name"].as_str())
            .collect();
        match known.is_empty() {
            true => bail!("there is no context `{name}`: no kubeconfig has any"),
            false => bail!(
                "there is no context `{name}`: there are {}",
                known.join(", ")
            ),
        }
    };
    let part = |list: &str, key: &str, inner: &str| -> Result<Value> {
        let wanted = context[key].as_str().unwrap_or("");
        let (directory, entry) = find(configs, list, wanted).with_context(|| {
            format!("the context `{name}` names the {key} `{wanted}`, which is not there")
        })?;
        Ok(with_whole_paths(entry[inner].clone(), directory))
    };
    let cluster = part("clusters", "cluster", "cluster")?;
    let user = match context["user"].as_str() {
        None | Some("") => json!({}),
        Some(_) => part("users", "user", "user")?,
    };
    if cluster["proxy-url"]
        .as_str()
        .is_some_and(|url| !url.is_empty())
    {
        bail!(
            "the context `{name}` reaches its server through a `proxy-url`, which Footlights cannot: run \
             `kubectl --context {name} proxy` and use a context of http://127.0.0.1:8001"
        );
    }
    if user["auth-provider"].is_object() {
        bail!(
            "the context `{name}` has credentials of an `auth-provider`, which kubectl has none of since \
             1.26: use its successor, an exec plugin, or a token"
        );
    }
    let server = cluster["server"]
        .as_str()
        .with_context(|| format!("the context `{name}` has a cluster without a server"))?
        .to_owned();
    let authority = match &cluster {
        cluster if cluster["insecure-skip-tls-verify"] == true => "insecure".to_owned(),
        cluster => ["certificate-authority-data", "certificate-authority"]
            .iter()
            .find_map(|key| cluster[*key].as_str())
            .unwrap_or("")
            .to_owned(),
    };
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context["cluster"], "cluster": cluster}],
        "users": [{"name": context["user"], "user": user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    });
    Ok(Minified {
        kubeconfig,
        server,
        authority,
    })
}

fn find<'a>(
    configs: &'a [(&Path, Value)],
    list: &str,
    name: &str,
) -> Option<(&'a Path, &'a Value)> {
    configs.iter().find_map(|(directory, config)| {
        let entries = config[list].as_array()?;
        let entry = entries.iter().find(|entry| entry["name"] == *name)?;
        Some((*directory, entry))
    })
}

/// Paths count from the directory of their file, and the new file lies elsewhere.
fn with_whole_paths(mut part: Value, directory: &Path) -> Value {
    let whole = |value: &mut Value| {
        if let Some(path) = value.as_str().filter(|path| !path.is_empty()) {
            *value = json!(directory.join(path));
        }
    };
    for key in [
        "certificate-authority",
        "client-certificate",
        "client-key",
        "tokenFile",
    ] {
        part.get_mut(key).map(whole);
    }
    // A command without a slash is looked for on PATH.
    part.pointer_mut("/exec/command")
        .filter(|command| command.as_str().is_some_and(|c| c.contains('/')))
        .map(whole);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs() -> Vec<(&'static Path, Value)> {
        let first = json!({
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
                         {"name": "lost", "context": {"cluster": "none", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://one", "certificate-authority": "ca.crt"}}],
            "users": [{"name": "other", "user": {"token": "secret"}}],
        });
        let second = json!({
            "contexts": [{"name": "b", "context": {"cluster": "d"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://two"}},
                         {"name": "d", "cluster": {"server": "https://three", "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {"exec": {"command": "./login", "args": []},
                                             "client-key": "/k", "tokenFile": "token"}}],
        });
        vec![(Path::new("/one"), first), (Path::new("/two"), second)]
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let config = |cluster: Value, user: Value| {
            json!({"contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
                   "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}]})
        };
        let proxied = json!({"server": "https://one", "proxy-url": "http://two"});
        let provider = json!({"auth-provider": {"name": "oidc"}});
        for (cluster, user, named) in [
            (proxied, json!({}), "`proxy-url`"),
            (
                json!({"server": "https://one"}),
                provider,
                "`auth-provider`",
            ),
            (json!({}), json!({}), "without a server"),
        ] {
            let config = config(cluster, user);
            let error = minify(&[(Path::new("/"), config)], "a").unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn one_context_is_taken_out_with_nothing_besides() {
        let minified = minify(&configs(), "a").unwrap();
        assert_eq!(minified.server, "https://one");
        assert_eq!(minified.authority, "/one/ca.crt");
        assert_eq!(minified.kubeconfig["current-context"], "a");
        assert_eq!(
            minified.kubeconfig["contexts"][0]["context"]["namespace"],
            "n"
        );
        let user = &minified.kubeconfig["users"][0]["user"];
        assert_eq!(user["exec"]["command"], "/two/./login");
        assert_eq!(
            (&user["client-key"], &user["tokenFile"]),
            (&json!("/k"), &json!("/two/token"))
        );
        let text = minified.kubeconfig.to_string();
        assert!(
            !text.contains("secret") && !text.contains("three"),
            "{text}"
        );
    }

    #[test]
    fn a_context_without_a_user_and_without_checks_is_one_too() {
        let minified = minify(&configs(), "b").unwrap();
        assert_eq!(minified.authority, "insecure");
        assert_eq!(minified.kubeconfig["users"][0]["user"], json!({}));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (name, named) in [
            ("z", "there is no context `z`: there are a, lost, b"),
            ("lost", "names the cluster `none`"),
        ] {
            let error = format!("{:#}", minify(&configs(), name).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
        let none = minify(&[], "z").unwrap_err().to_string();
        assert!(none.contains("no kubeconfig has any"), "{none}");
    }
}
