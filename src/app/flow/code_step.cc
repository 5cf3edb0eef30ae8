// A step's code, in a sandbox of its own that ends with it. The code finds its data as `args` and
// leaves its answer in `result`; in bash the arguments are the variable ARGS, as JSON, and the
// answer is what was printed.

#include <fmt/format.h>
#include <sys/stat.h>

#include <condition_variable>
#include <mutex>

#include "app/flow/step_adapters.h"
#include "app/flow/workspaces.h"
#include "sphere/files/workspace.h"
#include "sphere/http/spec_json.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kResultMax = 64u << 20;
constexpr std::string_view kArgumentsFile = ".dougong_args.json";
constexpr std::string_view kResultFile = ".dougong_result.json";
constexpr std::chrono::milliseconds kCancelLook{20};

// The frames around the step's own code. They read the arguments from a file: a command line is
// short, and data never becomes code.
constexpr std::string_view kPython = R"(import json
with open('.dougong_args.json') as f: args = json.load(f)
scope = {'args': args, 'result': None, '__name__': '__main__'}
with open('step.py') as f: source = f.read()
exec(compile(source, 'step.py', 'exec'), scope)
with open('.dougong_result.json', 'w') as f: json.dump(scope['result'], f, allow_nan=False)
)";
constexpr std::string_view kNode = R"(const fs = require('fs');
const args = JSON.parse(fs.readFileSync('.dougong_args.json', 'utf8'));
const body = fs.readFileSync('step.js', 'utf8');
const AsyncFunction = (async () => {}).constructor;
new AsyncFunction('args', 'require', `let result;\n${body}\n;return result;`)(args, require)
  .then((result) => fs.writeFileSync('.dougong_result.json', JSON.stringify(result ?? null)))
  .catch((error) => { console.error(error && error.stack || String(error)); process.exit(1); });
)";

class Gather final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream stream, std::string_view bytes) override {
        (stream == sphere::Stream::out ? out : err) += bytes;
    }
    void on_end(const sphere::ExecResult& result) override {
        const std::lock_guard lock(mutex_);
        ended_ = result;
        changed_.notify_all();
    }
    /// Waits for the end; `each` is called now and then meanwhile.
    sphere::ExecResult wait(const std::function<void()>& each) {
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, kCancelLook, [&] { return ended_.has_value(); })) {
            lock.unlock();
            each();
            lock.lock();
        }
        return *ended_;
    }
    std::string out, err;

private:
    std::mutex mutex_;  // guards ended_
    std::condition_variable changed_;
    std::optional<sphere::ExecResult> ended_;
};

/// Ends the box with its scope.
class Box {
public:
    Box(sphere::Sphere& sphere, sphere::SandboxId id) : sphere_(sphere), id_(std::move(id)) {}
    ~Box() { (void)sphere_.destroy(id_); }
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;
    const sphere::SandboxId& id() const { return id_; }

private:
    sphere::Sphere& sphere_;
    const sphere::SandboxId id_;
};

std::string tail(const std::string& text, std::size_t bytes) {
    return text.size() <= bytes ? text : "..." + text.substr(text.size() - bytes);
}

/// What earlier steps kept: a handle or a list of them, later ones over earlier ones.
Result<void> bring(const Workspaces& kept, const json::value& files,
                   const sphere::files::Workspace& workspace) {
    const auto bring_one = [&](const json::value& handle) -> Result<void> {
        if (handle.is_string()) return kept.restore(handle.get_string(), workspace);
        return base::fail(Code::invalid_argument,
                          "`workspace` is {}; expected steps.ID.output.workspace or a list of such",
                          base::to_text(handle).substr(0, 100));
    };
    if (!files.is_array()) return bring_one(files);
    for (const json::value& each : files.get_array()) DG_TRY(bring_one(each));
    return {};
}

Result<void> check_end(const sphere::ExecResult& ended, const Gather& output) {
    if (ended.reason == sphere::EndReason::wall_time ||
        ended.reason == sphere::EndReason::cpu_time) {
        return base::fail(Code::deadline_exceeded, "the code ran out of time; it had printed: {}",
                          tail(output.err + output.out, 500));
    }
    if (ended.reason == sphere::EndReason::exited && ended.exit_code == 0) return {};
    return base::fail(Code::failed_precondition, "the code ended with {} {}: {}",
                      sphere::end_reason_name(ended.reason),
                      ended.reason == sphere::EndReason::exited ? ended.exit_code : ended.signal,
                      tail(output.err.empty() ? output.out : output.err, 2'000));
}

/// JSON where it is JSON, else the text.
Result<json::value> printed(std::string answer) {
    while (answer.ends_with('\n')) answer.pop_back();
    auto parsed = base::parse_json(answer, {.depth_max = 128});
    return parsed ? *std::move(parsed) : json::value(answer);
}

Result<json::value> left_in(const sphere::files::Workspace& workspace, std::string_view file) {
    auto parsed = base::parse_json(DG_TRY(workspace.read(file, 0, kResultMax)), {.depth_max = 128});
    if (parsed) return *std::move(parsed);
    return base::fail(Code::payload_too_large, "'result' does not read as JSON of at most {} MiB",
                      kResultMax >> 20);
}

}  // namespace

Result<flow::StepOutput> run_code(sphere::Sphere& sphere, const Workspaces& kept,
                                  const flow::CodeAction& action, const StepCall& step) {
    const json::object& request = step.call.request.as_object();
    sphere::SandboxSpec spec;
    spec.tenant = step.tenant;
    if (const json::object* asked = request.at("sandbox").if_object()) {
        spec = DG_TRY(sphere::read_spec(*asked, spec));
    }
    const Box box(sphere, DG_TRY(sphere.create(spec)));
    // What is brought belongs to whom the box's folder does, so that the code may change it.
    base::UniqueFd root(DG_TRY(sphere.open_workspace(box.id())));
    struct stat about {};
    if (::fstat(root.get(), &about) != 0) {
        return base::fail(Code::unavailable, "the sandbox's folder cannot be looked at");
    }
    const sphere::files::Workspace workspace(std::move(root),
                                             sphere::files::Owner{about.st_uid, about.st_gid});
    if (const json::value* files = request.if_contains("workspace")) {
        DG_TRY(bring(kept, *files, workspace));
    }
    const std::string args = base::to_text(request.at("args"));
    sphere::ExecSpec command;
    std::string_view source_file = "step.sh";
    if (action.language == "python") {
        source_file = "step.py";
        command.argv = {"python3", "-c", std::string(kPython)};
    } else if (action.language == "node") {
        source_file = "step.js";
        command.argv = {"node", "-e", std::string(kNode)};
    } else {
        command.argv = {"bash", "step.sh"};
        command.environment["ARGS"] = args.size() < 100'000 ? args : "";
    }
    DG_TRY(workspace.write(source_file, action.source));
    DG_TRY(workspace.write(kArgumentsFile, args));
    if (step.time_left.count() > 0) command.wall_timeout = step.time_left;
    Gather output;
    DG_TRY(sphere.start(box.id(), command, output));
    const sphere::ExecResult ended = output.wait([&] {
        if (step.cancelled->load()) (void)sphere.destroy(box.id());
    });
    if (step.cancelled->load()) return base::fail(Code::cancelled, "the run was stopped");
    DG_TRY(check_end(ended, output));
    json::object out{{"stdout", output.out}, {"stderr", output.err}, {"exit_code", 0}};
    out["result"] =
        DG_TRY(action.language == "bash" ? printed(output.out) : left_in(workspace, kResultFile));
    if (action.keep_workspace) {
        for (const std::string_view ours : {source_file, kArgumentsFile, kResultFile}) {
            if (const auto gone = workspace.remove(ours);
                !gone && gone.error().code != Code::not_found) {
                return std::unexpected(gone.error());
            }
        }
        const Workspaces::Kept files = DG_TRY(kept.keep(workspace));
        out["workspace"] = files.handle;
        out["files"] = files_json(files);
    }
    return flow::StepOutput{std::move(out), 0, 0};
}

}  // namespace app
