//! gRPC interface of the policy decision point: what is generated from `policy.proto`, and nothing else.
