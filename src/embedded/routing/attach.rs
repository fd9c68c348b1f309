//! Which parents a route attaches to: the same answer for the route table and for `status`.

use serde_json::Value;

use super::flavor::Flavor;
use super::table::ObjectRef;
use super::{conflicts, hostname, items, port};
use crate::embedded::selector;
use crate::embedded::store::{Key, Object, Store};

/// The Gateway API's group.
pub const GROUP: &str = "gateway.networking.k8s.io";
/// The store's name of Gateways.
pub const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
/// The store's name of HTTPRoutes.
pub const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io";
/// The store's name of GRPCRoutes.
const GRPC_ROUTES: &str = "grpcroutes.gateway.networking.k8s.io";
/// The store's name of Linkerd's own HTTPRoutes.
const LINKERD_ROUTES: &str = "httproutes.policy.linkerd.io";
/// The store's name of GatewayClasses.
pub const GATEWAY_CLASSES: &str = "gatewayclasses.gateway.networking.k8s.io";

/// The kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// HTTPRoute of the Gateway API.
    Http,
    /// GRPCRoute.
    Grpc,
    /// HTTPRoute of `policy.linkerd.io`.
    LinkerdHttp,
}

impl RouteKind {
    /// All of them, with the store's names.
    pub const ALL: [(RouteKind, &'static str); 3] = [
        (RouteKind::Http, HTTP_ROUTES),
        (RouteKind::Grpc, GRPC_ROUTES),
        (RouteKind::LinkerdHttp, LINKERD_ROUTES),
    ];

    /// `HTTPRoute` or `GRPCRoute`.
    pub fn name(self) -> &'static str {
        match self {
            RouteKind::Http | RouteKind::LinkerdHttp => "HTTPRoute",
            RouteKind::Grpc => "GRPCRoute",
        }
    }

    /// True for a GRPCRoute.
    pub fn is_grpc(self) -> bool {
        self == RouteKind::Grpc
    }
}

/// Why a parent did not take a route.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// There is no such Gateway or Service.
    NoParent(ObjectRef),
    /// No listener or port of this name.
    NoSection(String),
    /// No listener or port of this number.
    NoPort(u64),
    /// A headless Service.
    Headless,
    /// No listener lets the route's namespace in.
    Namespace(String),
    /// No listener lets the route's kind in.
    Kind(&'static str),
    /// No hostname of the route meets a listener's: the first listener's.
    Hostname(String),
    /// Another kind of route has the place.
    Conflict(String),
}

/// What became of one `parentRefs[]` entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Attachment {
    /// To these listeners of a Gateway, by name.
    Gateway(ObjectRef, Vec<String>),
    /// To these ports of a Service.
    Service(ObjectRef, Vec<u16>),
    /// Refused.
    Refused(Refused),
    /// A parent that is not ours: no status is written.
    Foreign,
}

/// A parent reference of a route, what became of it, and whose parent it is.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The reference as the route has it.
    pub reference: Value,
    /// What became of it.
    pub attachment: Attachment,
    /// Whose parent it is.
    pub flavor: Flavor,
}

/// A route with its parents.
#[derive(Clone, Debug)]
pub struct AttachedRoute {
    /// Its kind.
    pub kind: RouteKind,
    /// Where it is stored.
    pub key: Key,
    /// The route.
    pub object: Object,
    /// Its parents, in order.
    pub parents: Vec<Parent>,
}

/// All routes with their parents, oldest first, then by namespace and name: the order that breaks
/// ties of precedence.
pub fn attach_all(store: &Store) -> Vec<AttachedRoute> {
    let mesh = Flavor::of_mesh(store);
    let mut routes: Vec<AttachedRoute> = RouteKind::ALL
        .iter()
        .flat_map(|(kind, resource)| store.list(resource, None).map(|(k, o)| (*kind, k, o)))
        .map(|(kind, key, object)| AttachedRoute {
            kind,
            key: key.clone(),
            object: object.clone(),
            parents: items(&object["spec"]["parentRefs"])
                .map(|reference| attach(store, mesh, kind, object, reference))
                .collect(),
        })
        .collect();
    routes.sort_by_cached_key(|r| {
        let created = r.object["metadata"]["creationTimestamp"].as_str();
        // Linkerd goes by age and name alone.
        let namespace = match mesh {
            Flavor::Linkerd => String::new(),
            _ => r.key.namespace.clone(),
        };
        (
            created.unwrap_or("").to_owned(),
            namespace,
            r.key.name.clone(),
        )
    });
    conflicts::settle(store, &mut routes);
    routes
}

fn attach(
    store: &Store,
    mesh: Flavor,
    kind: RouteKind,
    route: &Value,
    reference: &Value,
) -> Parent {
    let own = route["metadata"]["namespace"].as_str().unwrap_or("");
    let namespace = reference["namespace"].as_str().unwrap_or(own);
    let name = ObjectRef::new(namespace, reference["name"].as_str().unwrap_or(""));
    let (attachment, flavor) = match (reference["group"].as_str(), reference["kind"].as_str()) {
        (Some(GROUP), Some("Gateway")) => to_gateway(store, kind, route, reference, name),
        (Some(group), Some("Service")) if is_core(group, mesh) => {
            (to_service(store, mesh, kind, reference, name), mesh)
        }
        _ => (Attachment::Foreign, mesh),
    };
    Parent {
        reference: reference.clone(),
        attachment,
        flavor,
    }
}

/// Linkerd's documents write "core" for the core group; Istio takes no notice of such parents.
fn is_core(group: &str, mesh: Flavor) -> bool {
    group.is_empty() || (group == "core" && mesh != Flavor::Istio)
}

fn to_gateway(
    store: &Store,
    kind: RouteKind,
    route: &Value,
    reference: &Value,
    gateway: ObjectRef,
) -> (Attachment, Flavor) {
    let key = Key::new(GATEWAYS, &gateway.namespace, &gateway.name);
    let Some(object) = store.get(&key) else {
        return (
            Attachment::Refused(Refused::NoParent(gateway)),
            Flavor::Spec,
        );
    };
    let flavor = Flavor::of_gateway(store, object);
    let (Some(flavor), false) = (flavor, kind == RouteKind::LinkerdHttp) else {
        return (Attachment::Foreign, Flavor::Spec);
    };
    let attachment = match listeners_for(store, kind, route, reference, &gateway, object) {
        Ok(listeners) => Attachment::Gateway(gateway, listeners),
        Err(refused) => Attachment::Refused(refused),
    };
    (attachment, flavor)
}

fn listeners_for(
    store: &Store,
    kind: RouteKind,
    route: &Value,
    reference: &Value,
    gateway: &ObjectRef,
    object: &Value,
) -> Result<Vec<String>, Refused> {
    let mut left = meant(reference, &object["spec"]["listeners"])?;
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
    left.retain(|l| lets_in(store, l, &gateway.namespace, namespace));
    if left.is_empty() {
        return Err(Refused::Namespace(namespace.to_owned()));
    }
    left.retain(|l| supported_kinds(l).0.contains(&kind.name()));
    if left.is_empty() {
        return Err(Refused::Kind(kind.name()));
    }
    let first = left[0]["hostname"].as_str().unwrap_or("").to_owned();
    left.retain(|l| !effective_hostnames(l, route).is_empty());
    if left.is_empty() {
        return Err(Refused::Hostname(first));
    }
    let names = left.iter().filter_map(|l| l["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The listeners or ports that a reference means: all, or those of its name and number.
fn meant<'a>(reference: &Value, list: &'a Value) -> Result<Vec<&'a Value>, Refused> {
    let (section, port) = (&reference["sectionName"], &reference["port"]);
    let mut left: Vec<&Value> = items(list).collect();
    left.retain(|entry| section.is_null() || *section == entry["name"]);
    if left.is_empty() {
        return Err(Refused::NoSection(
            section.as_str().unwrap_or("").to_owned(),
        ));
    }
    left.retain(|entry| port.is_null() || *port == entry["port"]);
    match left.is_empty() {
        true => Err(Refused::NoPort(port.as_u64().unwrap_or(0))),
        false => Ok(left),
    }
}

fn lets_in(store: &Store, listener: &Value, gateway_namespace: &str, namespace: &str) -> bool {
    let rule = &listener["allowedRoutes"]["namespaces"];
    match rule["from"].as_str() {
        Some("All") => true,
        Some("Selector") => {
            let found = store.get(&Key::new("namespaces", "", namespace));
            found.is_some_and(|n| selector::label_selector_fits(&rule["selector"], n))
        }
        _ => gateway_namespace == namespace,
    }
}

/// The kinds of routes that a listener takes, and whether all that it names are such.
pub fn supported_kinds(listener: &Value) -> (Vec<&'static str>, bool) {
    let by_protocol: &[&'static str] = match listener["protocol"].as_str() {
        Some("HTTP" | "HTTPS") => &["HTTPRoute", "GRPCRoute"],
        _ => &[],
    };
    let named: Vec<&Value> = items(&listener["allowedRoutes"]["kinds"]).collect();
    if named.is_empty() {
        return (by_protocol.to_vec(), true);
    }
    let is = |entry: &Value, kind: &str| {
        entry["kind"] == kind && entry["group"].as_str().unwrap_or(GROUP) == GROUP
    };
    let kinds: Vec<&'static str> = by_protocol
        .iter()
        .copied()
        .filter(|kind| named.iter().any(|n| is(n, kind)))
        .collect();
    let all_known = named.iter().all(|n| by_protocol.iter().any(|k| is(n, k)));
    (kinds, all_known)
}

/// True if a listener's port was taken by one before it that speaks something else.
pub fn protocol_conflict(gateway: &Value, listener: &Value) -> bool {
    let first = items(&gateway["spec"]["listeners"]).find(|l| l["port"] == listener["port"]);
    first.is_some_and(|f| f["protocol"] != listener["protocol"])
}

/// The hostnames that a route has on a listener: those that meet the listener's, the narrower of
/// the two. `*` stands for any.
pub fn effective_hostnames(listener: &Value, route: &Value) -> Vec<String> {
    let of_listener = listener["hostname"].as_str().filter(|h| !h.is_empty());
    let of_route: Vec<&str> = items(&route["spec"]["hostnames"])
        .filter_map(Value::as_str)
        .collect();
    match (of_listener, of_route.as_slice()) {
        (None, []) => vec!["*".to_owned()],
        (Some(name), []) => vec![name.to_owned()],
        (None, names) => names.iter().map(|&n| n.to_owned()).collect(),
        (Some(listener), names) => names
            .iter()
            .filter(|name| hostname::intersect(name, listener))
            .map(|name| {
                let narrower = hostname::specificity(name) > hostname::specificity(listener);
                if narrower { *name } else { listener }.to_owned()
            })
            .collect(),
    }
}

fn to_service(
    store: &Store,
    mesh: Flavor,
    kind: RouteKind,
    reference: &Value,
    service: ObjectRef,
) -> Attachment {
    if kind == RouteKind::LinkerdHttp && mesh != Flavor::Linkerd {
        return Attachment::Foreign;
    }
    let key = Key::new("services", &service.namespace, &service.name);
    let Some(object) = store.get(&key) else {
        return Attachment::Refused(Refused::NoParent(service));
    };
    if object["spec"]["clusterIP"] == "None" || object["spec"]["type"] == "ExternalName" {
        return Attachment::Refused(Refused::Headless);
    }
    let ports = match meant(reference, &object["spec"]["ports"]) {
        Ok(ports) => ports,
        Err(refused) => return Attachment::Refused(refused),
    };
    let numbers = ports.iter().filter_map(|p| port(&p["port"]));
    Attachment::Service(service, numbers.collect())
}
