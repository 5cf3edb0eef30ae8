#pragma once
// What an agent does with a sandbox, as tools: names, descriptions and JSON schemas of their
// arguments as MCP and function calling want them, and one way to call them. Whose sandbox it is
// is never an argument: the caller says it.
//
//   SandboxTools tools(sphere, sessions, {});
//   const json::object answer = DG_TRY(tools.call(caller, "run_code", {{"code", "1 + 1"}}));

#include <functional>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"
#include "sphere/files/workspace.h"
#include "sphere/tools/tool_boxes.h"

namespace sphere::tools {

struct ToolInfo {
    std::string_view name, description;
    base::json::object (*arguments)();  ///< a JSON schema
    bool reads_only = false;
    bool destroys = false;  ///< what it does is not undone by calling another tool
};

struct SandboxToolsOptions {
    /// Of a session's own sandbox: without a call for so long it ends.
    std::chrono::milliseconds idle_timeout = std::chrono::minutes(15);
    std::size_t text_bytes_max = 32u << 10;  ///< of each text in an answer; then cut, told
    /// May this call be made? The error is the model's to read.
    std::function<base::Result<void>(const ToolCaller& caller, std::string_view tool,
                                     const base::json::object& arguments)>
        admit = {};
};

/// Thread-safe; a call takes as long as what it runs.
class SandboxTools {
public:
    static constexpr std::chrono::minutes kTimeoutMax{10};

    /// Both outlive it.
    SandboxTools(Sphere& sphere, SessionManager& sessions, SandboxToolsOptions options);

    static std::span<const ToolInfo> all();
    /// {"tools": [{"name", "description", "inputSchema", "annotations"}]}, as MCP's tools/list.
    static base::json::object listing();

    /// {"content": [{"type": "text", "text"}], "structuredContent", "isError"}, as MCP's
    /// tools/call. What went wrong is such an answer, too, with isError, and says what to do.
    /// Errors: not_found: there is no such tool.
    base::Result<base::json::object> call(const ToolCaller& caller, std::string_view name,
                                          const base::json::object& arguments);

    /// Ends what runs and refuses what comes: calls return soon. Idempotent.
    void stop();

private:
    using Answer = base::Result<base::json::object>;
    struct Call {
        const ToolCaller& caller;
        SandboxId box = {};
        bool replaced = false;  ///< the box of the caller's earlier calls is gone
    };

    Answer run_code(Call& call, const base::json::object& arguments);
    Answer run_command(Call& call, const base::json::object& arguments);
    Answer read_file(Call& call, const base::json::object& arguments);
    Answer write_file(Call& call, const base::json::object& arguments);
    Answer edit_file(Call& call, const base::json::object& arguments);
    Answer list_files(Call& call, const base::json::object& arguments);
    Answer remove_file(Call& call, const base::json::object& arguments);
    Answer reset(Call& call, const base::json::object& arguments);

    base::Result<void> find_box(Call& call);

    struct Run {
        SandboxId box;
        ExecId id = 0;  ///< of a command, or of a session whose cell runs
        bool is_session = false;
    };
    /// Notes that it runs and waits for what `sink` hears last.
    template <class Sink>
    auto wait_for(const Run& run, Sink& sink);
    void end(const Run& run);

    base::Result<files::Workspace> files_of(Call& call, const FileAccess& access);

    Sphere& sphere_;
    SessionManager& sessions_;
    const SandboxToolsOptions options_;
    ToolBoxes boxes_;

    std::mutex mutex_;        // guards the rest; no calls out under it
    std::list<Run> running_;  ///< what stop() ends
    bool stopping_ = false;
};

}  // namespace sphere::tools
