#pragma once
// Sandboxes as JSON: what clients send, and what they read back.

#include <string>
#include <string_view>

#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/sphere.h"

namespace sphere {

/// The fields of SandboxSpec under their names; durations end in _ms. Without `tenant`, which is
/// the caller's. Absent fields keep the values of `spec`. Ends with check_spec.
/// Errors: as ObjectReader::done and check_spec.
base::Result<SandboxSpec> read_spec(const base::json::object& body, SandboxSpec spec = {});

/// A network policy of its own; `mode` when the body does not say. Errors: as ObjectReader::done.
base::Result<NetworkPolicy> read_network(const base::json::object& body, NetworkMode mode);

/// {"argv": [...]} or {"code": "...", "language": "python" | "node" | "bash"}, and the fields of
/// ExecSpec. `rest` reads fields of the caller's own before unknown ones are refused.
base::Result<ExecSpec> read_exec(const base::json::object& body,
                                 const std::function<void(base::ObjectReader&)>& rest);

base::json::object to_json(const Limits& limits);
base::json::object to_json(const NetworkPolicy& network);
base::json::object to_json(const SandboxInfo& info);
base::json::object to_json(const SnapshotInfo& info);
base::json::object to_json(const ImageInfo& info);
base::json::object to_json(const ExecResult& result);
base::json::object to_json(const HostReport& report);

}  // namespace sphere
