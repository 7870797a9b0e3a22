#!/usr/bin/env bash
# Installs the kinds, the operator and a starter fleet (GitHub, Kubernetes and OSV behind one virtual server). May be run again at any time.
#
#   NAMESPACE=platform-tools GITHUB_PAT=<your-token> ./scripts/toolhive/install.sh [--dry-run]
#
# The token goes to kubectl by its standard input only: it is in no argument, no environment of another program, no output and no trace.
set +x -euo pipefail
pat=${GITHUB_PAT-}
unset GITHUB_PAT

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
namespace=${NAMESPACE:-platform-tools}
system=${SYSTEM_NAMESPACE:-toolhive-system}
charts=${CHARTS:-$root/charts}
values=${VALUES-}
timeout=${TIMEOUT:-180s}
oldest=30
dry_run=false

usage() {
  cat <<EOF
NAMESPACE=platform-tools GITHUB_PAT=<your-token> $0 [--dry-run]

  --dry-run         check everything and say what would be done, change nothing

  NAMESPACE         of the fleet; platform-tools
  GITHUB_PAT        token for GitHub; may be left out when the Secret github-token is there already
  SYSTEM_NAMESPACE  of the operator; toolhive-system
  CHARTS            folder or oci:// address that holds waggle-crds and waggle-agent; the charts beside this script
  CHART_VERSION     version of the charts, for an oci:// address
  VALUES            values file for the operator
  TAKE_OVER         true: run although ToolHive's operator is installed, and adopt what it made
  TIMEOUT           for each wait; 180s
EOF
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "unknown argument $argument"
      ;;
  esac
done

check_input() {
  local name
  for name in "$namespace" "$system"; do
    [[ $name =~ ^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$ ]] || fail "\"$name\" is not the name of a namespace: use lower-case letters, digits and -"
  done
  [[ $pat != *[[:space:]]* ]] || fail 'GITHUB_PAT holds white space: give the token alone'
  [[ $timeout =~ ^[0-9]+(s|m)$ ]] || fail "TIMEOUT=$timeout: give seconds or minutes, such as 180s"
  [[ -z $values || -r $values ]] || fail "VALUES=$values: there is no such file"
  [[ $charts == oci://* || -r $charts/waggle-crds/Chart.yaml ]] || fail "CHARTS=$charts: neither an oci:// address nor a folder that holds waggle-crds"
  [[ -d $root/examples/cluster/starter ]] || fail "examples/cluster/starter is missing: run this script where it lies in its repository"
}

check_tools() {
  command -v kubectl >/dev/null || fail 'kubectl is missing: https://kubernetes.io/docs/tasks/tools/'
  command -v helm >/dev/null || fail 'helm is missing: https://helm.sh/docs/intro/install/'
  [[ $(helm version --short 2>/dev/null) =~ ^v([3-9]|[1-9][0-9])\. ]] || fail 'helm is older than version 3'
}

check_cluster() {
  local version minor right
  version=$(kubectl version -o yaml --request-timeout=10s 2>/dev/null | sed -n '/^serverVersion:/,$p' || true)
  minor=$(sed -n 's/^ *minor: *"\{0,1\}\([0-9]*\).*/\1/p' <<<"$version" | head -n 1)
  [[ -n $minor ]] || fail "no cluster answers: see kubectl cluster-info (context $(kubectl config current-context 2>/dev/null || echo none))"
  ((minor >= oldest)) || fail "the cluster runs Kubernetes 1.$minor; 1.$oldest or later is needed"
  for right in customresourcedefinitions clusterroles clusterrolebindings namespaces; do
    kubectl auth can-i create "$right" >/dev/null 2>&1 || fail "you may not create $right: ask an administrator of the cluster to run this"
  done
  if [[ ${TAKE_OVER-} != true ]] && other=$(toolhive) && [[ -n $other ]]; then
    fail "ToolHive's operator runs as $other: remove it, or set TAKE_OVER=true to adopt what it made"
  fi
}

toolhive() {
  kubectl get deployments --all-namespaces -l app.kubernetes.io/name=toolhive-operator -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {end}'
}

check_token() {
  [[ -n $pat ]] && return
  kubectl -n "$namespace" get secret github-token >/dev/null 2>&1 && return
  $dry_run && return
  fail "GITHUB_PAT is not set and there is no Secret github-token in $namespace: set it to a token from https://github.com/settings/tokens"
}

apply() { kubectl apply --server-side --force-conflicts --field-manager=install.sh -f - >/dev/null; }

install_secret() {
  kubectl create namespace "$namespace" --dry-run=client -o json | apply
  if [[ -z $pat ]]; then
    say "  kept, as GITHUB_PAT is not set"
    return
  fi
  printf %s "$pat" | kubectl -n "$namespace" create secret generic github-token --from-file=token=/dev/stdin --dry-run=client -o json | apply
}

install_chart() {
  local release=$1 name=$2
  shift 2
  [[ -z ${CHART_VERSION-} ]] || set -- "$@" --version "$CHART_VERSION"
  helm upgrade --install "$release" "$charts/$name" --namespace "$system" --create-namespace --wait --timeout "$timeout" "$@" >/dev/null && return
  kubectl -n "$system" get pods >&2 || true
  fail "helm could not install $name: see above, and kubectl -n $system describe pods"
}

install_operator() {
  set --
  [[ -z $values ]] || set -- "$@" --values "$values"
  [[ ${TAKE_OVER-} != true ]] || set -- "$@" --set operator.takeOver=true
  install_chart toolhive-operator waggle-agent "$@"
}

install_fleet() {
  local file
  for file in "$root"/examples/cluster/starter/*.yaml; do
    sed "s/namespace: platform-tools\$/namespace: $namespace/" "$file" | apply || fail "$file could not be applied"
  done
}

wait_for_fleet() {
  local fleet='mcpserver/github mcpserver/kubernetes mcpserver/osv virtualmcpserver/starter'
  # shellcheck disable=SC2086 # one word each
  kubectl -n "$namespace" wait --for=condition=Ready --timeout="$timeout" $fleet >/dev/null && return
  # shellcheck disable=SC2086
  kubectl -n "$namespace" get $fleet -o jsonpath='{range .items[*]}{.kind} {.metadata.name}: {.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}' >&2 || true
  fail "not everything is ready after $timeout; run this again to wait on, or see kubectl -n $namespace describe mcpservers"
}

finish() {
  local url port
  url=$(kubectl -n "$namespace" get virtualmcpserver starter -o jsonpath='{.status.url}')
  port=$(kubectl -n "$namespace" get virtualmcpserver starter -o jsonpath='{.spec.proxyPort}')
  kubectl -n "$namespace" get mcpservers,virtualmcpservers
  say
  say "The fleet, for clients in the cluster:"
  say "  $url"
  say "From this machine:"
  say "  kubectl -n $namespace port-forward service/mcp-starter-proxy $port"
  say "  http://127.0.0.1:$port/mcp"
}

step() {
  say "$1"
  shift
  if $dry_run; then return; fi
  "$@"
}

check_input
check_tools
check_cluster
check_token
say "Kubernetes of context $(kubectl config current-context 2>/dev/null || echo '(in cluster)')"
step "1. the kinds, waggle-crds in $system" install_chart toolhive-operator-crds waggle-crds
step "2. the operator, waggle-agent in $system" install_operator
step "3. the Secret github-token in $namespace" install_secret
step "4. the starter fleet in $namespace: github, kubernetes, osv, starter" install_fleet
step "5. until everything is ready" wait_for_fleet
if $dry_run; then
  say "Nothing was changed: this was a dry run."
  exit 0
fi
finish
