#include "sphere/http/openapi.h"

#include <array>
#include <string_view>

#include "base/api/operations.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::api::Operation;

json::object parsed(std::string_view text) {
    return base::parse_json(text)->as_object();
}

json::object scope_example() {
    return parsed(R"({"agent": "", "sandbox": ""})");
}
json::object any_scope_example() {
    return parsed(R"({"tenant": "", "agent": "", "sandbox": ""})");
}
json::object signal_example() {
    return parsed(R"({"signal": "TERM"})");
}
json::object size_example() {
    return parsed(R"({"columns": 80, "rows": 24})");
}
json::object decide_example() {
    return parsed(R"({"tool": "fs.read", "arguments": {}, "agent": "", "data": ["public"],)"
                  R"("dry_run": true})");
}

json::object snapshot_example() {
    return parsed(R"({"name": "before the upgrade", "persist": false})");
}
json::object change_example() {
    return parsed(R"({"action": "rename", "to": "other.txt"})");
}
json::object network_example() {
    NetworkPolicy network;
    network.mode = NetworkMode::egress;
    return sphere::to_json(network);
}
json::object port_example() {
    return parsed(R"({"port": 8000, "ttl_ms": 3600000})");
}
json::object session_example() {
    return parsed(R"({"language": "python"})");
}
json::object tool_example() {
    return parsed(R"({"agent": "helper", "session": "conversation 7", "sandbox": "", "spec": {},)"
                  R"( "arguments": {"code": "1 + 1"}})");
}
json::object cell_example() {
    return parsed(R"({"code": "1 + 1", "wall_timeout_ms": 60000, "output_bytes_max": 1048576,)"
                  R"("stream": false})");
}

constexpr std::array<std::string_view, 6> kEvents = {"event",  "agent", "sandbox",
                                                     "tenant", "limit", "before"};
constexpr std::array<std::string_view, 1> kEnd = {"eof"};
constexpr std::array<std::string_view, 1> kPortToken = {"port_token"};
constexpr std::array<std::string_view, 2> kRead = {"stat", "recursive"};
constexpr std::array<std::string_view, 2> kWrite = {"mode", "replace"};
constexpr std::array<std::string_view, 1> kRecursive = {"recursive"};
constexpr std::array<std::string_view, 2> kPack = {"path", "gzip"};
constexpr std::array<std::string_view, 1> kPath = {"path"};
constexpr std::array<std::string_view, 2> kWatch = {"path", "recursive"};
constexpr std::array<std::string_view, 2> kLogs = {"follow", "after"};
constexpr std::array<std::string_view, 5> kTerminal = {"columns", "rows", "argv",
                                                       "working_directory", "environment"};

// One line per route of the plane.
const std::array kOperations = {
    Operation{.method = "post",
              .path = "/v1/sandboxes",
              .summary = "Make a sandbox.",
              .answer = "The sandbox.",
              .body = sandbox_body_example,
              .makes = true},
    Operation{"get", "/v1/sandboxes", "List the caller's sandboxes.", "The sandboxes."},
    Operation{"get", "/v1/sandboxes/host", "What this host can enforce.",
              "Levels, and each primitive with what is weaker without it."},
    Operation{"get", "/v1/sandboxes/tools", "What an agent can do with a sandbox.",
              "Tools as MCP lists them, with JSON schemas of their arguments."},
    Operation{"post", "/v1/sandboxes/tools/{name}",
              "Call a tool for an agent's session, in the sandbox kept for it or in the named one.",
              "The tool's result, as MCP's tools/call tells it; isError says what to do.",
              tool_example},
    Operation{"get", "/v1/sandboxes/{id}", "One sandbox.", "The sandbox."},
    Operation{"delete", "/v1/sandboxes/{id}", "End a sandbox.", "What was ended."},
    Operation{"post", "/v1/sandboxes/{id}/pause", "Freeze a sandbox.", "The sandbox."},
    Operation{"post", "/v1/sandboxes/{id}/resume", "Let it go on.", "The sandbox."},
    Operation{"post",
              "/v1/sandboxes/{id}/exec",
              "Run a command or code in it.",
              "Output and how it ended, or server-sent events with \"stream\": true.",
              exec_body_example,
              {},
              true},
    Operation{"post", "/v1/sandboxes/{id}/execs/{exec}/stdin",
              "Give a running command input: the body, as it is.", "How many bytes were taken.",
              nullptr, kEnd},
    Operation{"post", "/v1/sandboxes/{id}/execs/{exec}/signal", "Send it a signal.",
              "The signal's number.", signal_example},
    Operation{"post", "/v1/sandboxes/{id}/execs/{exec}/resize", "Resize its terminal.", "The size.",
              size_example},
    Operation{"get", "/v1/sandboxes/{id}/files", "The workspace: a listing.", "The entries.",
              nullptr, kRead},
    Operation{"get", "/v1/sandboxes/{id}/files/{path}", "A file's bytes, or a folder's listing.",
              "As it is, with ranges; or the entries.", nullptr, kRead},
    Operation{"put", "/v1/sandboxes/{id}/files/{path}", "Write a file: the body, as it is.",
              "The entry.", nullptr, kWrite},
    Operation{"delete", "/v1/sandboxes/{id}/files/{path}", "Remove a file or a folder.",
              "What was removed.", nullptr, kRecursive},
    Operation{"post", "/v1/sandboxes/{id}/files/{path}", "Make a folder, or rename.", "The entry.",
              change_example},
    Operation{"get", "/v1/sandboxes/{id}/archive", "A tree as tar.", "The archive.", nullptr,
              kPack},
    Operation{"put", "/v1/sandboxes/{id}/archive", "Unpack tar or tar.gz into a folder.",
              "What was unpacked.", nullptr, kPath},
    Operation{"get", "/v1/sandboxes/{id}/watch", "Changes of files, as server-sent events.",
              "Events ready, change and end.", nullptr, kWatch, true},
    Operation{"get", "/v1/sandboxes/{id}/logs", "What commands printed lately.",
              "Entries, or server-sent events with follow.", nullptr, kLogs, true},
    Operation{"get", "/v1/sandboxes/{id}/terminal", "A WebSocket to a command with a terminal.",
              "Binary messages are bytes both ways; text messages are JSON.", nullptr, kTerminal},
    Operation{.method = "post",
              .path = "/v1/sandboxes/{id}/sessions",
              .summary = "Start a live interpreter.",
              .answer = "The session.",
              .body = session_example,
              .makes = true},
    Operation{"get", "/v1/sandboxes/{id}/sessions", "The sandbox's sessions.", "The sessions."},
    Operation{"get", "/v1/sandboxes/{id}/sessions/{session}", "One session.", "The session."},
    Operation{"delete", "/v1/sandboxes/{id}/sessions/{session}", "End a session.",
              "What was ended."},
    Operation{"post", "/v1/sandboxes/{id}/sessions/{session}/interrupt",
              "Stop the cell that runs; the session stays.", "The session."},
    Operation{
        .method = "post",
        .path = "/v1/sandboxes/{id}/sessions/{session}/fork",
        .summary =
            "A second session that knows all this one does; python, without threads of its own.",
        .answer = "The new session, with its consistency.",
        .makes = true},
    Operation{"post",
              "/v1/sandboxes/{id}/sessions/{session}/cells",
              "Run a cell in a session.",
              "Output, the last value and any error, or server-sent events.",
              cell_example,
              {},
              true},
    Operation{"put", "/v1/sandboxes/{id}/network", "Change the lists and budgets, whole.",
              "The sandbox.", network_example},
    Operation{"post", "/v1/sandboxes/{id}/ports", "A token for a port of the sandbox.",
              "Token, URL, and until when.", port_example},
    Operation{"get", "/v1/sandboxes/{id}/ports/{port}/{path}",
              "What a program in the sandbox answers; any method.", "As it answers.", nullptr,
              kPortToken},
    Operation{.method = "post",
              .path = "/v1/sandboxes/{id}/snapshots",
              .summary = "Keep the workspace as it is.",
              .answer = "The snapshot.",
              .body = snapshot_example,
              .makes = true},
    Operation{.method = "post",
              .path = "/v1/sandboxes/{id}/fork",
              .summary = "A new sandbox with a copy of the files.",
              .answer = "The sandbox.",
              .makes = true},
    Operation{"get", "/v1/sandbox-images", "Images that sandboxes may begin with.", "The images."},
    Operation{"put", "/v1/sandbox-images/{image}",
              "Import an image: the body is an archive of an OCI layout or of docker save, or a "
              "tarball of a root.",
              "The image."},
    Operation{"delete", "/v1/sandbox-images/{image}", "Remove an image that no sandbox uses.",
              "What was removed."},
    Operation{"get", "/v1/snapshots", "The caller's snapshots.", "The snapshots."},
    Operation{"delete", "/v1/snapshots/{id}", "Remove a snapshot.", "What was removed."},
    Operation{"get", "/v1/emergency_stop", "The stops in force for the caller.", "The stops."},
    Operation{"post", "/v1/emergency_stop",
              "End the caller's sandboxes and refuse new ones until it is lifted.",
              "How many were ended.", scope_example},
    Operation{"delete", "/v1/emergency_stop", "Lift the caller's stops.", "That it was asked for.",
              scope_example},
    Operation{"get", "/admin/v1/emergency_stop", "Every stop in force.", "The stops."},
    Operation{"post", "/admin/v1/emergency_stop",
              "End sandboxes of a tenant, an agent, or all, and refuse new ones.",
              "How many were ended.", any_scope_example},
    Operation{"delete", "/admin/v1/emergency_stop", "Lift stops within a scope.",
              "That it was asked for.", any_scope_example},
    Operation{"get", "/v1/policies", "The policies in force that concern the caller.",
              "Policies, where they come from, their digest, and why they are stale if so."},
    Operation{"post", "/v1/policies/decide",
              "May this tool be called? Recorded with \"dry_run\": false.",
              "The decision, and every rule that was asked.", decide_example},
    Operation{"get", "/v1/audit", "The caller's events, newest first.",
              "Events as they stand in the record, and where to go on.", nullptr, kEvents},
    Operation{"get", "/admin/v1/policies", "Every policy in force.", "As /v1/policies."},
    Operation{"post", "/admin/v1/policies/reload", "Load the policies' files again.",
              "As /v1/policies."},
    Operation{"get", "/admin/v1/audit", "Every tenant's events, newest first.", "As /v1/audit.",
              nullptr, kEvents},
};

}  // namespace

json::object sandbox_body_example() {
    const json::object info = sphere::to_json(SandboxInfo{});
    json::object body;
    for (const std::string_view name : {"name", "agent", "isolation", "root", "limits", "network",
                                        "environment", "labels", "snapshot", "secrets", "policy"}) {
        body[name] = info.at(name);
    }
    body["root"].as_object()["path"] = "";
    body["limits"].as_object()["gpu_share"] = 0.;
    return body;
}

json::object exec_body_example() {
    const ExecSpec spec;
    return {{"argv", json::array{"python3", "-c", "print(1)"}},
            {"code", "print(1)"},
            {"language", "python"},
            {"environment", json::object{}},
            {"working_directory", spec.working_directory},
            {"stdin", ""},
            {"stdin_open", spec.stdin_open},
            {"tty", spec.tty},
            {"tty_columns", spec.tty_columns},
            {"tty_rows", spec.tty_rows},
            {"wall_timeout_ms", spec.wall_timeout.count()},
            {"cpu_timeout_ms", spec.cpu_timeout.count()},
            {"output_bytes_max", spec.output_bytes_max},
            {"stream", false},
            {"encoding", "text"}};
}

json::object sandbox_paths() {
    constexpr std::array<std::string_view, 7> kNumbers = {"limit", "before",  "exec", "session",
                                                          "port",  "columns", "rows"};
    return base::api::paths_of(kOperations, kNumbers);
}

}  // namespace sphere
