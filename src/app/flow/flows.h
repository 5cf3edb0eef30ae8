#pragma once
// The workflow plane of a program: its folder, its runtime, what its steps may use; and of a
// server: its routes.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "app/command.h"
#include "app/model_endpoint.h"
#include "base/http/router.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace base::metrics {
class Registry;
}
namespace base::trace {
class SpanSink;
}
namespace memory {
class MemoryStore;
}
namespace sphere {
class Sphere;
namespace tools {
class SandboxTools;
}
}  // namespace sphere

namespace app {

/// flow.dir, else $XDG_DATA_HOME/dougong/flow or ~/.local/share/dougong/flow.
std::string flow_dir(const Program& program);
/// For people: that folder, or the database without its password.
std::string flow_place(const Program& program);

class Flows {
public:
    /// What steps may use; null or empty where there is none. All outlive this.
    struct Parts {
        std::shared_ptr<sphere::Sphere> sphere;
        memory::MemoryStore* memories = nullptr;
        sphere::tools::SandboxTools* sandbox_tools = nullptr;
        bool models = false;  ///< set_models will be called
        /// Instead: where models answer, asked for when the first step needs one.
        std::function<base::Result<ModelEndpoint::Options>()> open_models = {};
        /// Takes secrets' values out of what tools and code give.
        std::function<std::string(std::string_view)> scrub = {};
        bool workers = false;  ///< workers outside can come: there is a server
        base::metrics::Registry* metrics = nullptr;
        base::trace::SpanSink* spans = nullptr;
        bool perform = true;  ///< else nothing that was open is taken up and no call is made
    };
    /// Takes up what was open. Errors: failed_precondition (another process has the folder; the
    /// database does not let us in), data_loss, unavailable, the disk's.
    static base::Result<std::unique_ptr<Flows>> open(const Program& program, Parts parts);
    ~Flows();  ///< stop()

    void register_routes(base::http::Router& router);
    /// Where people find this process among those that share its database.
    void announce(const std::string& url);
    /// Where models answer from now on: an API's address up to and with /v1.
    void set_models(const std::string& url);

    /// Before the server's stop: workers that wait are sent away, results are still taken.
    void begin_drain();

    flow::Runtime& runtime();
    flow::RunLog& log();
    flow::DefinitionStore& definitions();
    /// After the server's stop. Calls that are out end; what they were for goes on next time.
    void stop();

private:
    struct Impl;
    explicit Flows(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Answers all routes of workflows with `why`.
void refuse_flow_routes(base::http::Router& router, const base::Error& why);

}  // namespace app
