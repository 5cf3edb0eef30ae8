// A step's code, in a sandbox of its own that ends with it. The code finds its data as `args` and
// leaves its answer in `result`; in bash the arguments are the variable ARGS, as JSON, and the
// answer is what was printed.

#include <fmt/format.h>

#include "app/flow/step_adapters.h"
#include "sphere/files/workspace.h"
#include "sphere/http/spec_json.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kResultMax = 64u << 20;
constexpr std::string_view kResultFile = ".dougong_result.json";

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
    void on_end(const sphere::ExecResult&) override {}
    std::string out, err;
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

}  // namespace

Result<flow::StepOutput> run_code(sphere::Sphere& sphere, const flow::CodeAction& action,
                                  const StepCall& step) {
    const json::object& request = step.call.request.as_object();
    sphere::SandboxSpec spec;
    spec.tenant = step.tenant;
    if (const json::object* asked = request.at("sandbox").if_object()) {
        spec = DG_TRY(sphere::read_spec(*asked, spec));
    }
    const Box box(sphere, DG_TRY(sphere.create(spec)));
    const sphere::files::Workspace workspace(
        base::UniqueFd(DG_TRY(sphere.open_workspace(box.id()))));
    const std::string args = base::to_text(request.at("args"));
    sphere::ExecSpec command;
    if (action.language == "python") {
        DG_TRY(workspace.write("step.py", action.source));
        command.argv = {"python3", "-c", std::string(kPython)};
    } else if (action.language == "node") {
        DG_TRY(workspace.write("step.js", action.source));
        command.argv = {"node", "-e", std::string(kNode)};
    } else {
        DG_TRY(workspace.write("step.sh", action.source));
        command.argv = {"bash", "step.sh"};
        command.environment["ARGS"] = args.size() < 100'000 ? args : "";
    }
    DG_TRY(workspace.write(".dougong_args.json", args));
    if (step.time_left.count() > 0) command.wall_timeout = step.time_left;
    Gather output;
    const sphere::ExecResult ended = DG_TRY(sphere.exec(box.id(), command, output));
    if (step.cancelled->load()) return base::fail(Code::cancelled, "the run was stopped");
    if (ended.reason == sphere::EndReason::wall_time ||
        ended.reason == sphere::EndReason::cpu_time) {
        return base::fail(Code::deadline_exceeded, "the code ran out of time; it had printed: {}",
                          tail(output.err + output.out, 500));
    }
    if (ended.reason != sphere::EndReason::exited || ended.exit_code != 0) {
        return base::fail(
            Code::failed_precondition, "the code ended with {} {}: {}",
            sphere::end_reason_name(ended.reason),
            ended.reason == sphere::EndReason::exited ? ended.exit_code : ended.signal,
            tail(output.err.empty() ? output.out : output.err, 2'000));
    }
    json::object out{{"stdout", output.out}, {"stderr", output.err}, {"exit_code", 0}};
    if (action.language == "bash") {
        std::string answer = output.out;
        while (answer.ends_with('\n')) answer.pop_back();
        const auto parsed = base::parse_json(answer, {.depth_max = 128});
        out["result"] = parsed ? *parsed : json::value(answer);
    } else {
        const std::string text = DG_TRY(workspace.read(kResultFile, 0, kResultMax));
        auto parsed = base::parse_json(text, {.depth_max = 128});
        if (!parsed) {
            return base::fail(Code::payload_too_large,
                              "'result' does not read as JSON of at most {} MiB", kResultMax >> 20);
        }
        out["result"] = *std::move(parsed);
    }
    return flow::StepOutput{std::move(out), 0, 0};
}

}  // namespace app
