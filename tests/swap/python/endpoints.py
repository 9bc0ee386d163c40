"""Where endpoints are found, in the bindings of each release."""


def endpoint_of(runtime, namespace, component, endpoint):
    if hasattr(runtime, "endpoint"):
        return runtime.endpoint(f"{namespace}.{component}.{endpoint}")
    return runtime.namespace(namespace).component(component).endpoint(endpoint)
