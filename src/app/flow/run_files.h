#pragma once
// GET /v1/runs/{id}/files: what the steps of a run kept, for people and programs that fetch it.

#include "app/flow/workspaces.h"
#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/flow.h"

namespace app {

/// Thread-safe.
class RunFiles {
public:
    /// All outlive this and the server.
    RunFiles(flow::Runtime& runtime, flow::RunLog& log, const Workspaces& workspaces)
        : runtime_(runtime), log_(log), workspaces_(workspaces), pool_(2, 256) {}
    ~RunFiles() { pool_.stop(); }

    void register_routes(base::http::Router& router);
    /// The routes as OpenAPI has them.
    static base::json::object paths();

private:
    /// One step that kept its files.
    struct Step {
        std::string path, handle;
        base::json::value files;
    };
    base::Result<std::vector<Step>> steps_of(const base::http::Request& request) const;
    base::Result<base::http::Response> list(const base::http::Request& request) const;
    base::Result<base::http::Response> file(const base::http::Request& request) const;

    flow::Runtime& runtime_;
    flow::RunLog& log_;
    const Workspaces& workspaces_;
    base::api::CallPool pool_;
};

}  // namespace app
