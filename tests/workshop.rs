//! The workshop's scenes on an empty cluster, with the stand-ins and a real kubectl.

use crate::harness::{Place, kubectls, skipped};

/// Scenes: each line of bash must end well.
fn scene(script: &str) {
    if kubectls().is_empty() {
        return skipped("the workshop's scenes", "no kubectl on PATH");
    }
    let place = Place::new();
    let path = place.home.path().join("scene.md");
    let markdown = format!(
        "---\ncluster: {{profile: bare}}\n---\n```bash\nset -e\n{}\n```\n",
        script.trim_end()
    );
    std::fs::write(&path, markdown).unwrap();
    place.run(&["rehearse", path.to_str().unwrap()]).exits(0);
}

const GATEWAY: &str = r"kubectl apply -f - <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ingress, namespace: default}
spec:
  gatewayClassName: CLASS
  listeners:
  - {name: http, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}
END
kubectl wait --for=condition=Programmed gateway/ingress --timeout=30s
";

const FACES: &str = r"helm install faces -n faces oci://ghcr.io/buoyantio/faces-chart --version 2.0.0-rc.1 --set smiley2.enabled=true,backend.errorFraction=0,face.errorFraction=0 --wait
kubectl rollout status -n faces deploy
helm list -n faces | grep faces-2.0.0-rc.1
";

/// A canary that a client in the mesh sees, whose parent is written as the mesh wants it.
fn canary(group: &str) -> String {
    format!(
        r"kubectl apply -f - <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: smiley, namespace: faces}}
spec:
  parentRefs: [{{group: {group}, kind: Service, name: smiley, port: 80}}]
  rules: [{{backendRefs: [{{name: smiley2, port: 80}}]}}]
END
curl -s -x ${{FOOTLIGHTS_MESH_PROXY/\/\//\/\/faces@}} http://smiley/center/ | grep -i 1F60D
"
    )
}

#[test]
fn with_istio() {
    let install = "$SHELL cluster crds | kubectl apply -f -
istioctl version
istioctl x precheck
istioctl install --set profile=minimal -y
";
    let check = "kubectl get gatewayclass istio | grep istio.io/gateway-controller
[[ $(kubectl get svc ingress-istio -o jsonpath='{.status.loadBalancer.ingress[0].ip}') == 127.* ]]
kubectl create namespace faces
kubectl label namespace faces istio-injection=enabled
";
    let status = "kubectl get httproute -n faces smiley -o yaml | grep 'Route was valid'
helm uninstall faces -n faces
[[ -z $(kubectl get deploy -n faces -o name) ]]
";
    let gateway = GATEWAY.replace("CLASS", "istio");
    let canary = canary("\"\"");
    scene(&[install, &gateway, check, FACES, &canary, status].concat());
}

#[test]
fn with_linkerd_and_envoy_gateway() {
    let install = "$SHELL cluster crds | kubectl apply -f -
linkerd check --pre
linkerd install --crds | kubectl apply -f -
linkerd install | kubectl apply -f -
linkerd check
helm install eg oci://docker.io/envoyproxy/gateway-helm --version v1.1.2 -n envoy-gateway-system --create-namespace --wait
kubectl apply -f - <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
END
";
    let check = "[[ $(kubectl get svc -n envoy-gateway-system -l gateway.envoyproxy.io/owning-gateway-name=ingress -o jsonpath='{.items[0].status.loadBalancer.ingress[0].ip}') == 127.* ]]
kubectl create namespace faces
kubectl annotate namespace faces linkerd.io/inject=enabled
";
    let status = "[[ $(kubectl get httproutes.gateway.networking.k8s.io -n faces smiley -o jsonpath='{.status.parents[0].controllerName} {.status.parents[0].parentRef.group}') == 'linkerd.io/policy-controller core' ]]
helm uninstall eg -n envoy-gateway-system
kubectl get crd httproutes.gateway.networking.k8s.io
";
    let gateway = GATEWAY.replace("CLASS", "eg");
    let canary = canary("core");
    scene(&[install, &gateway, check, FACES, &canary, status].concat());
}

#[test]
fn stand_ins_refuse_what_they_cannot_do() {
    let place = Place::new();
    let path = place.home.path().join("x.md");
    for command in [
        "istioctl analyze",
        "helm install x oci://example/redis",
        "linkerd viz dashboard",
        "k3d node list",
    ] {
        let text = format!("```bash\nset -e\n{command}\n```\n");
        std::fs::write(&path, text).unwrap();
        let run = place.run(&["rehearse", path.to_str().unwrap()]).exits(1);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("stand-in"), "{command}: {said}");
    }
}

/// The article's YAML blocks, to the letter. Those that are refused are no manifests: one goes on with a
/// shell's prompt, one has weights that are struck out, one has commands (docs/workshop.md).
#[test]
fn every_manifest_of_the_article_is_accepted() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/article");
    let install = "$SHELL cluster crds | kubectl apply -f -
istioctl install --set profile=minimal -y
kubectl create namespace faces
refused=
";
    let apply = format!(
        "for f in {fixtures}/*.yaml; do kubectl apply -f $f || refused+=\" ${{f##*/}}\"; done
[[ \"$refused\" == ' 01-ingress.yaml 08-smiley-canary.yaml 14-commands.yaml' ]] || {{ echo \"refused:$refused\"; false; }}
kubectl wait --for=condition=Available -n faces deploy --all --timeout=60s
"
    );
    scene(&[install, &apply].concat());
}
