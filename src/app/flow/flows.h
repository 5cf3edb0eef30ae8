#pragma once
// The workflow plane of a program: its folder, its runtime, what its steps may use; and of a
// server: its routes.

#include <atomic>
#include <memory>
#include <string>

#include "app/command.h"
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
}

namespace app {

/// flow.dir, else $XDG_DATA_HOME/dougong/flow or ~/.local/share/dougong/flow.
std::string flow_dir(const Program& program);

class Flows {
public:
    /// What steps may use; null or empty where there is none. All outlive this.
    struct Parts {
        std::shared_ptr<sphere::Sphere> sphere;
        memory::MemoryStore* memories = nullptr;
        bool models = false;  ///< set_models will be called
        base::metrics::Registry* metrics = nullptr;
        base::trace::SpanSink* spans = nullptr;
        bool perform = true;  ///< else nothing that was open is taken up and no call is made
    };
    /// Takes up what was open. Errors: failed_precondition (another process has the folder),
    /// data_loss, the disk's.
    static base::Result<std::unique_ptr<Flows>> open(const Program& program, Parts parts);
    ~Flows();  ///< stop()

    void register_routes(base::http::Router& router);
    /// Where models answer from now on: an API's address up to and with /v1.
    void set_models(const std::string& url);

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
