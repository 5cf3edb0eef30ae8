#pragma once
// The workflows that `dougong flow` speaks to: those of a running server, or the folder itself when
// no server has it. Both are the same calls (flow/http).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/model_endpoint.h"
#include "base/json/json.h"

namespace app {

class FlowAccess {
public:
    virtual ~FlowAccess() = default;

    /// Where models answer those that work in the folder; asked when a step first needs one.
    /// Empty: models.model, opened in this process.
    using Models = std::function<base::Result<ModelEndpoint::Options>()>;

    /// With --url: that server. Without: the configured folder, or the server on this machine that
    /// has it. Errors: unavailable, failed_precondition (says what to do).
    /// `perform`: in the folder, take up open runs and do what their steps ask; without, what is
    /// decided is only written down.
    static base::Result<std::unique_ptr<FlowAccess>> open(const Args& args, const Program& program,
                                                          bool perform = false, Models models = {});

    /// Errors: what the plane said, by its code.
    virtual base::Result<base::json::object> call(const std::string& method,
                                                  const std::string& path,
                                                  const base::json::object* body = nullptr) = 0;
    /// POST of a text as it is.
    virtual base::Result<base::json::object> post(const std::string& path,
                                                  const std::string& content_type,
                                                  std::string text) = 0;
    /// GET of what is no JSON.
    virtual base::Result<std::string> fetch(const std::string& path) = 0;
    /// Events of a run, the past first, until it is over or `on_event` is false.
    virtual base::Result<void> watch(const std::string& run,
                                     const std::function<bool(const base::json::object&)>& on_event,
                                     const std::function<bool()>& cancelled) = 0;
    /// The folder itself: runs stand still when this program ends.
    virtual bool local() const = 0;
};

/// --url, --tenant, --json: what every subcommand has.
std::vector<OptionSpec> flow_options();

}  // namespace app
