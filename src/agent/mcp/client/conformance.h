#pragma once
// What the protocol's official suite wants a client to do, by the names it gives its scenarios.
// Everything is done by the client that people use; here stands only what is asked of it.

#include <string>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

struct ClientScenario {
    std::string url;             ///< of the suite's server
    std::string name;            ///< "tools_call", "auth/basic-cimd", ...
    base::json::object context;  ///< what the scenario gives beside: clients, keys, calls
    std::string revision;        ///< to speak; empty: the newest
};

/// Errors: unimplemented (no such scenario), and what its calls say: some scenarios want one.
base::Result<void> run_client_scenario(const ClientScenario& scenario, const base::Clock& clock);

}  // namespace agent::mcp
