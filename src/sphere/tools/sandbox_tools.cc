#include "sphere/tools/sandbox_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <optional>
#include <utility>

#include "base/core/utf8.h"
#include "base/json/object_reader.h"
#include "sphere/tools/bounded_text.h"
#include "sphere/tools/box_files.h"

namespace sphere::tools {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;

constexpr std::size_t kFileBytesMax = 1u << 20, kPathBytesMax = 4096, kEntriesMax = 500;
constexpr std::size_t kReadBytesMax = 256u << 10;
/// Read and thrown away beyond what is kept: the end of a flood is worth more than its middle.
constexpr std::uint64_t kOutputMax = 1ull << 30;
constexpr std::chrono::milliseconds kTimeout{60'000};

json::object schema(std::string_view text) {
    json::object out = base::parse_json(text)->as_object();
    out["type"] = "object";
    out["additionalProperties"] = false;
    return out;
}

constexpr std::array kTools = {
    ToolInfo{"run_code",
             "Run code in a live interpreter of your sandbox. Variables, imports and open files "
             "stay for your next call, and the value of a last expression is shown, as in a "
             "notebook. Files are in /workspace. A call that fails keeps the interpreter.",
             [] {
                 return schema(R"({"required": ["code"], "properties": {
                     "code": {"type": "string", "minLength": 1},
                     "language": {"enum": ["python", "node", "bash"], "default": "python"},
                     "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 600000,
                                    "default": 60000}}})");
             }},
    ToolInfo{"run_command",
             "Run a shell command in your sandbox and wait for it. Files stay for your next call; "
             "variables and the working directory do not. Send long output to a file.",
             [] {
                 return schema(R"({"required": ["command"], "properties": {
                     "command": {"type": "string", "minLength": 1},
                     "working_directory": {"type": "string", "default": "/workspace"},
                     "stdin": {"type": "string"},
                     "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 600000,
                                    "default": 60000}}})");
             }},
    ToolInfo{"read_file",
             "Read a text file of your sandbox's /workspace, or a part of it from a byte offset.",
             [] {
                 return schema(R"({"required": ["path"], "properties": {
                     "path": {"type": "string", "minLength": 1},
                     "offset": {"type": "integer", "minimum": 0, "default": 0},
                     "bytes_max": {"type": "integer", "minimum": 1, "maximum": 262144}}})");
             },
             true},
    ToolInfo{"write_file",
             "Write a text file in your sandbox's /workspace, whole; folders on the way are made, "
             "and a file that is there is replaced.",
             [] {
                 return schema(R"({"required": ["path", "content"], "properties": {
                     "path": {"type": "string", "minLength": 1},
                     "content": {"type": "string"}}})");
             },
             false, true},
    ToolInfo{"edit_file",
             "Replace a piece of a text file in /workspace by another. The piece must stand in it "
             "exactly once, unless all of them are to be replaced.",
             [] {
                 return schema(R"({"required": ["path", "old_text", "new_text"], "properties": {
                     "path": {"type": "string", "minLength": 1},
                     "old_text": {"type": "string", "minLength": 1},
                     "new_text": {"type": "string"},
                     "replace_all": {"type": "boolean", "default": false}}})");
             },
             false, true},
    ToolInfo{"list_files", "List a folder of your sandbox's /workspace, with sizes.",
             [] {
                 return schema(R"({"properties": {
                     "path": {"type": "string", "default": "."},
                     "recursive": {"type": "boolean", "default": false}}})");
             },
             true},
    ToolInfo{"remove_file",
             "Remove a file of your sandbox's /workspace, or a folder with all in "
             "it when it is to be recursive.",
             [] {
                 return schema(R"({"required": ["path"], "properties": {
                     "path": {"type": "string", "minLength": 1},
                     "recursive": {"type": "boolean", "default": false}}})");
             },
             false, true},
    ToolInfo{"reset_sandbox",
             "Begin anew: files, variables and running programs of your sandbox are gone. For when "
             "it is in a state that you cannot repair.",
             [] { return schema(R"({"properties": {}})"); }, false, true}};

json::object answer(bool error, std::string text, json::object structured) {
    json::array content;
    content.push_back(json::object{{"type", "text"}, {"text", std::move(text)}});
    return {{"content", std::move(content)},
            {"structuredContent", std::move(structured)},
            {"isError", error}};
}

/// What a model can do about it, where the message does not say.
std::string_view advice(Code code) {
    switch (code) {
        case Code::permission_denied:
            return "This is not allowed here; do not try to get around it, say that you may not.";
        case Code::resource_exhausted:
            return "Wait for what runs, or free something, and call again.";
        case Code::unavailable:
            return "Call again in a moment; reset_sandbox helps when the sandbox is broken.";
        case Code::invalid_argument:
            return "Correct the argument and call again.";
        case Code::not_found:
            return "Look with list_files what there is.";
        default:
            return "";
    }
}

json::object error_answer(const base::Error& error) {
    std::string text = "Error: " + error.message;
    if (!text.ends_with('.')) text += '.';
    if (const std::string_view more = advice(error.code); !more.empty()) {
        text += ' ';
        text += more;
    }
    return answer(true, std::move(text),
                  {{"error", base::code_name(error.code)}, {"subject", error.subject}});
}

void needed(ObjectReader& in, std::string_view name, std::string& out, std::size_t bytes_max,
            bool may_be_empty = false) {
    if (!in.has(name)) return in.fault(name, "is missing");
    in.text(name, out, bytes_max);
    if (out.empty() && !may_be_empty) in.fault(name, "is empty");
}

/// A path as models write them, as a name in the workspace.
Result<std::string> name_of(std::string_view path) {
    constexpr std::string_view kRoot = "/workspace";
    if (path == kRoot) return std::string(".");
    if (path.starts_with("/workspace/")) return std::string(path.substr(kRoot.size() + 1));
    if (!path.starts_with('/')) return std::string(path);
    return fail_on("path", Code::invalid_argument,
                   "'{}' is outside of /workspace, which this tool is for; run_command reads what "
                   "else is there",
                   as_utf8(path.substr(0, 256)));
}

/// Both streams of what runs, kept bounded; tells when it is over.
struct Gathered {
    explicit Gathered(std::size_t bytes_max) : out(bytes_max), err(bytes_max) {}
    BoundedText out, err;

    void add(Stream stream, std::string_view bytes) {
        (stream == Stream::out ? out : err).append(bytes);
    }
    /// The streams as a model reads them; `rest` last, on a line of its own.
    std::string text(std::string_view rest) {
        std::string all = out.text();
        const auto add_line = [&](std::string_view more) {
            if (!all.empty() && !all.ends_with('\n')) all += '\n';
            all += more;
        };
        if (const std::string told = err.text(); !told.empty()) {
            if (!all.empty()) add_line("[stderr]\n");
            all += told;
        }
        if (!rest.empty()) add_line(rest);
        return all;
    }
    bool truncated() const { return out.left_out() + err.left_out() > 0; }
};

/// Where one thread waits for what another tells once.
template <class T>
class Awaited {
public:
    void tell(const T& value) {
        const std::lock_guard lock(mutex_);
        value_ = value;
        told_.notify_all();
    }
    T wait() {
        std::unique_lock lock(mutex_);
        told_.wait(lock, [&] { return value_.has_value(); });
        return *value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable told_;
    std::optional<T> value_;
};

class CommandSink final : public ExecSink {
public:
    explicit CommandSink(std::size_t bytes_max) : gathered(bytes_max) {}
    void on_output(Stream stream, std::string_view bytes) override { gathered.add(stream, bytes); }
    void on_end(const ExecResult& result) override { last.tell(result); }
    Gathered gathered;
    Awaited<ExecResult> last;
};

class CodeSink final : public CellSink {
public:
    explicit CodeSink(std::size_t bytes_max) : gathered(bytes_max) {}
    void on_output(Stream stream, std::string_view bytes) override { gathered.add(stream, bytes); }
    void on_result(const CellResult& result) override { last.tell(result); }
    Gathered gathered;
    Awaited<CellResult> last;
};

/// How a command ended, as a line; empty when that says nothing.
std::string ending(const ExecResult& result, const Limits& limits,
                   std::chrono::milliseconds timeout) {
    switch (result.reason) {
        case EndReason::exited:
            return result.exit_code == 0 ? "" : fmt::format("[exit code {}]", result.exit_code);
        case EndReason::wall_time:
            return fmt::format(
                "[stopped after {} ms; give a longer timeout_ms, or do it in smaller steps]",
                timeout.count());
        case EndReason::memory:
            return fmt::format(
                "[killed: the sandbox may use {} MiB of memory, files in /tmp and /workspace "
                "included; work on smaller pieces]",
                limits.memory_bytes >> 20);
        case EndReason::forbidden:
            return "[ended: it made a system call that sandboxes do not allow; do it another way]";
        case EndReason::emergency:
            return "[ended by an emergency stop; do not go on, say so]";
        default:
            return fmt::format("[ended by signal {} ({})]", result.signal,
                               end_reason_name(result.reason));
    }
}

constexpr std::string_view kReplaced =
    "[This is a new sandbox: the one of your earlier calls has ended, since nobody used it for a "
    "while or somebody removed it. Its files and variables are gone.]\n";

/// Of all but the last: a character at its end that the next bytes would complete is theirs.
std::size_t whole_characters(std::string_view text) {
    const std::size_t valid = base::utf8_valid_prefix_bytes(text);
    return text.size() - valid <= 3 ? valid : 0;
}

}  // namespace

SandboxTools::SandboxTools(Sphere& sphere, SessionManager& sessions, SandboxToolsOptions options)
    : sphere_(sphere),
      sessions_(sessions),
      options_(std::move(options)),
      boxes_(sphere, sessions, options_.idle_timeout) {}

std::span<const ToolInfo> SandboxTools::all() {
    return kTools;
}

json::object SandboxTools::listing() {
    json::array tools;
    for (const ToolInfo& tool : kTools) {
        tools.push_back(
            json::object{{"name", tool.name},
                         {"description", tool.description},
                         {"inputSchema", tool.arguments()},
                         {"annotations", json::object{{"readOnlyHint", tool.reads_only},
                                                      {"destructiveHint", tool.destroys},
                                                      {"openWorldHint", false}}}});
    }
    return {{"tools", std::move(tools)}};
}

Result<json::object> SandboxTools::call(const ToolCaller& caller, std::string_view name,
                                        const json::object& arguments) {
    using Do = Answer (SandboxTools::*)(Call&, const json::object&);
    static constexpr std::array<std::pair<std::string_view, Do>, kTools.size()> kRuns = {
        {{"run_code", &SandboxTools::run_code},
         {"run_command", &SandboxTools::run_command},
         {"read_file", &SandboxTools::read_file},
         {"write_file", &SandboxTools::write_file},
         {"edit_file", &SandboxTools::edit_file},
         {"list_files", &SandboxTools::list_files},
         {"remove_file", &SandboxTools::remove_file},
         {"reset_sandbox", &SandboxTools::reset}}};
    const auto at = std::ranges::find(kRuns, name, &std::pair<std::string_view, Do>::first);
    if (at == kRuns.end()) {
        return fail_on("name", Code::not_found,
                       "there is no tool {}; GET /v1/sandboxes/tools lists "
                       "them",
                       as_utf8(name.substr(0, 64)));
    }
    if (options_.admit) {
        if (auto may = options_.admit(caller, at->first, arguments); !may) {
            return error_answer(may.error());
        }
    }
    Call made{caller};
    auto done = (this->*at->second)(made, arguments);
    json::object told = done ? std::move(*done) : error_answer(done.error());
    if (made.replaced) {
        json::string& text = told["content"].as_array()[0].as_object()["text"].as_string();
        text.insert(0, kReplaced);
    }
    return told;
}

template <class Sink>
auto SandboxTools::wait_for(const Run& run, Sink& sink) {
    std::list<Run>::iterator at;
    bool stopped = false;
    {
        const std::lock_guard lock(mutex_);
        at = running_.insert(running_.end(), run);
        stopped = stopping_;
    }
    if (stopped) end(run);
    const auto result = sink.last.wait();
    const std::lock_guard lock(mutex_);
    running_.erase(at);
    return result;
}

void SandboxTools::end(const Run& run) {
    // What has ended meanwhile is not found, which is as good.
    static_cast<void>(run.is_session ? sessions_.close(run.box, run.id)
                                     : sphere_.signal(run.box, run.id, SIGKILL));
}

void SandboxTools::stop() {
    std::list<Run> running;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        running = running_;
    }
    for (const Run& run : running) end(run);
}

SandboxTools::Answer SandboxTools::run_code(Call& call, const json::object& arguments) {
    CellSpec cell;
    Language language = Language::python;
    cell.wall_timeout = kTimeout;
    cell.output_bytes_max = kOutputMax;
    ObjectReader in(arguments);
    needed(in, "code", cell.code, SessionManager::kCodeMax);
    in.choice("language", language, kLanguages);
    in.milliseconds("timeout_ms", cell.wall_timeout, kTimeoutMax);
    if (cell.wall_timeout.count() == 0) in.fault("timeout_ms", "must be at least 1");
    DG_TRY(in.done());
    DG_TRY(find_box(call));
    const auto interpreter = DG_TRY(boxes_.interpreter_of(call.caller, call.box, language));
    const auto sink = std::make_shared<CodeSink>(options_.text_bytes_max);
    if (auto begun = sessions_.start(call.box, interpreter.id, cell, sink); !begun) {
        if (begun.error().code != Code::failed_precondition) {
            return std::unexpected(std::move(begun).error());
        }
        return answer(true,
                      fmt::format("Error: {}. Wait for your other run_code call to end, or use "
                                  "run_command beside it.",
                                  begun.error().message),
                      {{"error", base::code_name(begun.error().code)}});
    }
    const CellResult result = wait_for(Run{call.box, interpreter.id, true}, *sink);
    BoundedText value(options_.text_bytes_max), trace(options_.text_bytes_max);
    value.append(result.result_text);
    std::string rest = value.text();
    const bool failed = result.status != CellStatus::ok;
    if (result.status == CellStatus::error) {
        const CellResult::Error& error = result.error;
        trace.append(error.traceback.empty() ? error.name + ": " + error.message : error.traceback);
        rest = trace.text();
    } else if (result.status == CellStatus::timed_out) {
        rest = fmt::format(
            "[interrupted after {} ms; give a longer timeout_ms, or do it in smaller steps]",
            cell.wall_timeout.count());
    } else if (failed) {
        rest = fmt::format(
            "[the interpreter ended: {}; your next call begins with a new one, "
            "without these variables]",
            result.error.message);
    } else if (language == Language::bash && result.exit_code != 0) {
        rest = fmt::format("[exit code {}]", result.exit_code);
    }
    std::string text = sink->gathered.text(rest);
    if (text.empty()) text = "[no output]";
    json::object told = {
        {"status", cell_status_name(result.status)}, {"sandbox", call.box},
        {"language", language_name(language)},       {"stdout", sink->gathered.out.text()},
        {"stderr", sink->gathered.err.text()},       {"result", value.text()},
        {"truncated", sink->gathered.truncated()},   {"wall_ms", result.wall.count() / 1000}};
    if (result.status == CellStatus::error) {
        told["error"] =
            json::object{{"name", result.error.name}, {"message", as_utf8(result.error.message)}};
    }
    return answer(failed, std::move(text), std::move(told));
}

SandboxTools::Answer SandboxTools::run_command(Call& call, const json::object& arguments) {
    ExecSpec command;
    std::string line;
    command.wall_timeout = kTimeout;
    command.output_bytes_max = kOutputMax;
    ObjectReader in(arguments);
    needed(in, "command", line, SessionManager::kCodeMax);
    in.text("working_directory", command.working_directory, kPathBytesMax);
    in.text("stdin", command.stdin_text, kFileBytesMax);
    in.milliseconds("timeout_ms", command.wall_timeout, kTimeoutMax);
    if (command.wall_timeout.count() == 0) in.fault("timeout_ms", "must be at least 1");
    if (line.find('\0') != std::string::npos) in.fault("command", "holds a zero byte");
    DG_TRY(in.done());
    command.argv = {"bash", "-c", std::move(line)};
    DG_TRY(find_box(call));
    CommandSink sink(options_.text_bytes_max);
    const ExecId exec = DG_TRY(sphere_.start(call.box, command, sink));
    const ExecResult result = wait_for(Run{call.box, exec}, sink);
    const auto info = sphere_.info(call.box);
    const Limits limits = info ? info->spec.limits : Limits{};
    std::string text = sink.gathered.text(ending(result, limits, command.wall_timeout));
    if (text.empty()) text = "[no output]";
    return answer(result.reason != EndReason::exited, std::move(text),
                  {{"exit_code", result.exit_code},
                   {"reason", end_reason_name(result.reason)},
                   {"sandbox", call.box},
                   {"stdout", sink.gathered.out.text()},
                   {"stderr", sink.gathered.err.text()},
                   {"truncated", sink.gathered.truncated()},
                   {"wall_ms", result.wall.count() / 1000}});
}

Result<void> SandboxTools::find_box(Call& call) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return base::fail(Code::unavailable, "this server is being stopped");
    }
    const auto place = DG_TRY(boxes_.box_of(call.caller));
    call.box = place.box;
    call.replaced = place.replaced;
    return {};
}

Result<files::Workspace> SandboxTools::files_of(Call& call, const FileAccess& access) {
    DG_TRY(find_box(call));
    return open_files(sphere_, call.box, access);
}

SandboxTools::Answer SandboxTools::read_file(Call& call, const json::object& arguments) {
    std::string path;
    std::uint64_t offset = 0;
    std::size_t bytes_max = options_.text_bytes_max;
    ObjectReader in(arguments);
    needed(in, "path", path, kPathBytesMax);
    in.integer<std::uint64_t>("offset", offset, 0, 1ull << 50);
    in.integer<std::size_t>("bytes_max", bytes_max, 1, kReadBytesMax);
    DG_TRY(in.done());
    const std::string name = DG_TRY(name_of(path));
    const auto workspace = DG_TRY(files_of(call, {FileAccess::Kind::read, name}));
    const std::uint64_t size = DG_TRY(workspace.stat(name)).bytes;
    std::string bytes = DG_TRY(workspace.read(name, offset, std::max<std::size_t>(4, bytes_max)));
    const bool more = offset + bytes.size() < size;
    const std::size_t whole = more ? whole_characters(bytes) : base::utf8_valid_prefix_bytes(bytes);
    if ((whole < bytes.size() && !more) || (whole == 0 && !bytes.empty())) {
        return answer(true,
                      fmt::format("Error: {} is not a text file, or {} is not where a character "
                                  "begins. Look at it with run_command: file, xxd or base64.",
                                  path, offset),
                      {{"error", "not_text"}, {"path", path}, {"size", size}});
    }
    bytes.resize(whole);
    const std::uint64_t next = offset + whole;
    std::string text = bytes;
    if (more) {
        text += fmt::format("\n[... bytes {} to {} of {}; go on with offset {} ...]", offset, next,
                            size, next);
    } else if (text.empty()) {
        text = size == 0 ? "[the file is empty]"
                         : fmt::format("[nothing at offset {}: it has {} bytes]", offset, size);
    }
    return answer(false, std::move(text),
                  {{"path", path}, {"size", size}, {"next_offset", next}, {"more", more}});
}

SandboxTools::Answer SandboxTools::write_file(Call& call, const json::object& arguments) {
    std::string path, content;
    ObjectReader in(arguments);
    needed(in, "path", path, kPathBytesMax);
    needed(in, "content", content, kFileBytesMax, true);
    DG_TRY(in.done());
    const std::string name = DG_TRY(name_of(path));
    const auto workspace = DG_TRY(files_of(call, {FileAccess::Kind::write, name, content.size()}));
    DG_TRY(workspace.write(name, content));
    return answer(false, fmt::format("Wrote {} bytes to {}.", content.size(), path),
                  {{"path", path}, {"size", content.size()}});
}

SandboxTools::Answer SandboxTools::edit_file(Call& call, const json::object& arguments) {
    std::string path, old_text, new_text;
    bool all = false;
    ObjectReader in(arguments);
    needed(in, "path", path, kPathBytesMax);
    needed(in, "old_text", old_text, kFileBytesMax);
    needed(in, "new_text", new_text, kFileBytesMax, true);
    in.flag("replace_all", all);
    DG_TRY(in.done());
    const std::string name = DG_TRY(name_of(path));
    const auto workspace = DG_TRY(files_of(call, {FileAccess::Kind::read, name}));
    if (DG_TRY(workspace.stat(name)).bytes > kFileBytesMax) {
        return fail_on("path", Code::failed_precondition,
                       "{} has over {} bytes; change it with run_command (sed, python)", path,
                       kFileBytesMax);
    }
    const std::string content = DG_TRY(workspace.read(name, 0, kFileBytesMax));
    std::string changed;
    std::size_t from = 0, count = 0;
    for (std::size_t at; (at = content.find(old_text, from)) != std::string::npos; ++count) {
        changed.append(content, from, at - from).append(new_text);
        from = at + old_text.size();
    }
    changed.append(content, from);
    if (count == 0 || (count > 1 && !all)) {
        return fail_on("old_text", Code::failed_precondition, "old_text stands in {} {} times; {}",
                       path, count,
                       count == 0 ? "read the file and give the piece exactly, spaces included"
                                  : "give more of what is around it, or set replace_all");
    }
    DG_TRY(sphere_.admit_file(call.box, {FileAccess::Kind::write, name, changed.size()}));
    DG_TRY(workspace.write(name, changed));
    return answer(false, fmt::format("Replaced {} in {}.", count == 1 ? "it" : "all", path),
                  {{"path", path}, {"replaced", count}, {"size", changed.size()}});
}

SandboxTools::Answer SandboxTools::list_files(Call& call, const json::object& arguments) {
    std::string path = ".";
    files::ListOptions options;
    ObjectReader in(arguments);
    in.text("path", path, kPathBytesMax);
    in.flag("recursive", options.recursive);
    DG_TRY(in.done());
    options.entries_max = kEntriesMax;
    const std::string name = DG_TRY(name_of(path));
    const auto workspace = DG_TRY(files_of(call, {FileAccess::Kind::list, name}));
    const files::Listing listing = DG_TRY(workspace.list(name, options));
    std::string text;
    json::array entries;
    for (const files::Entry& entry : listing.entries) {
        const std::string shown = as_utf8(entry.name);
        switch (entry.type) {
            case files::EntryType::folder:
                text += shown + "/\n";
                break;
            case files::EntryType::link:
                text += fmt::format("{} -> {}\n", shown, as_utf8(entry.link_target));
                break;
            default:
                text += fmt::format("{}  {} bytes\n", shown, entry.bytes);
        }
        entries.push_back(json::object{
            {"name", shown}, {"type", files::entry_type_name(entry.type)}, {"bytes", entry.bytes}});
    }
    if (text.empty()) text = "[the folder is empty]";
    if (listing.truncated) {
        text += fmt::format("[more than {} entries; list a folder of it, or use run_command: find]",
                            kEntriesMax);
    }
    return answer(false, std::move(text),
                  {{"entries", std::move(entries)}, {"truncated", listing.truncated}});
}

SandboxTools::Answer SandboxTools::remove_file(Call& call, const json::object& arguments) {
    std::string path;
    bool recursive = false;
    ObjectReader in(arguments);
    needed(in, "path", path, kPathBytesMax);
    in.flag("recursive", recursive);
    DG_TRY(in.done());
    const std::string name = DG_TRY(name_of(path));
    const auto workspace = DG_TRY(files_of(call, {FileAccess::Kind::remove, name}));
    DG_TRY(workspace.remove(name, recursive));
    return answer(false, fmt::format("Removed {}.", path), {{"path", path}});
}

SandboxTools::Answer SandboxTools::reset(Call& call, const json::object& arguments) {
    ObjectReader in(arguments);
    DG_TRY(in.done());
    DG_TRY(boxes_.reset(call.caller));
    return answer(
        false,
        call.caller.sandbox.empty()
            ? "Your next call has a new sandbox, with an empty /workspace."
            : "Your interpreters have ended. Files stay: this sandbox is not yours alone.",
        {});
}

}  // namespace sphere::tools
