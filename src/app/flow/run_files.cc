#include "app/flow/run_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/api/operations.h"
#include "base/api/request_parts.h"
#include "sphere/files/name_text.h"

namespace app {

namespace json = base::json;
using base::Code;
using base::Result;
using base::http::Request;
using base::http::Response;

namespace {

constexpr std::size_t kFileBytesMax = 64u << 20;

/// `take` is given every output of `scope`'s steps, rounds of loops one by one, with its path.
template <class Take>
void each_output(const json::object& scope, const std::string& prefix, const Take& take) {
    const json::value* steps = scope.if_contains("steps");
    if (steps == nullptr || !steps->is_array()) return;
    for (const json::value& one : steps->get_array()) {
        const json::object& step = one.as_object();
        const std::string path = prefix + std::string(step.at("id").as_string());
        const json::value* output = step.if_contains("output");
        if (output != nullptr && output->is_object()) take(path, output->get_object());
        if (output != nullptr && output->is_array()) {
            for (std::size_t i = 0; i < output->get_array().size(); ++i) {
                const json::value& round = output->get_array()[i];
                if (round.is_object()) take(fmt::format("{}[{}]", path, i), round.get_object());
            }
        }
        const json::value* scopes = step.if_contains("scopes");
        if (scopes == nullptr || !scopes->is_array()) continue;
        for (const json::value& inner : scopes->get_array()) {
            const json::object& block = inner.as_object();
            each_output(block,
                        fmt::format("{}[{}].", path, std::string(block.at("key").as_string())),
                        take);
        }
    }
}

}  // namespace

void RunFiles::register_routes(base::http::Router& router) {
    pool_.route(router, "GET", "/v1/runs/{id}/files",
                [this](const Request& request) { return list(request); });
    pool_.route(router, "GET", "/v1/runs/{id}/files/{name...}",
                [this](const Request& request) { return file(request); });
}

json::object RunFiles::paths() {
    using base::api::Operation;
    static constexpr std::array<std::string_view, 1> kStep = {"step"};
    static constexpr std::array kOperations = {
        Operation{.method = "get",
                  .path = "/v1/runs/{id}/files",
                  .summary = "Files that steps of a run kept.",
                  .answer = "By step."},
        Operation{.method = "get",
                  .path = "/v1/runs/{id}/files/{name}",
                  .summary = "One kept file.",
                  .answer = "Its bytes; of the last step that kept files, or of `step`.",
                  .query = kStep},
    };
    return base::api::paths_of(kOperations, {});
}

Result<std::vector<RunFiles::Step>> RunFiles::steps_of(const Request& request) const {
    const std::string tenant = DG_TRY(base::api::tenant_of(request));
    const auto id = flow::run_id_from(request.param("id"));
    const auto head = id ? log_.load_head(*id) : base::fail(Code::not_found, "no id");
    if (!head && head.error().code != Code::not_found) return std::unexpected(head.error());
    if (!head || head->tenant != tenant) {
        return base::fail_on("id", Code::not_found, "there is no run '{}'", request.param("id"));
    }
    const json::object run = DG_TRY(runtime_.show(*id));
    std::vector<Step> out;
    const auto take = [&](const std::string& path, const json::object& output) {
        const json::value* handle = output.if_contains("workspace");
        const json::value* files = output.if_contains("files");
        if (handle == nullptr || !handle->is_string() || files == nullptr) return;
        out.push_back({path, std::string(handle->get_string()), *files});
    };
    each_output(run.at("root").as_object(), "", take);
    // Rounds of a for-each are gone when they are over; what the run itself gives names the last.
    const json::value* output = run.if_contains("output");
    if (output != nullptr && output->is_object()) take("output", output->get_object());
    return out;
}

Result<Response> RunFiles::list(const Request& request) const {
    json::array data;
    for (Step& step : DG_TRY(steps_of(request))) {
        data.push_back(
            {{"step", step.path}, {"workspace", step.handle}, {"files", std::move(step.files)}});
    }
    return base::api::json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> RunFiles::file(const Request& request) const {
    const std::vector<Step> steps = DG_TRY(steps_of(request));
    const std::string wanted = request.query_param("step").value_or("");
    std::vector<std::string> known;
    const Step* from = nullptr;
    for (const Step& step : steps) {
        known.push_back(step.path);
        if (wanted.empty() || step.path == wanted) from = &step;  // the last one when none is named
    }
    if (from == nullptr) {
        return base::fail_on("step", Code::not_found, "{}",
                             known.empty() ? "no step of this run has kept files"
                                           : fmt::format("'{}' kept no files; there are {}", wanted,
                                                         fmt::join(known, ", ")));
    }
    const std::string name = DG_TRY(sphere::files::unescape_name(request.param("name")));
    Response response;
    response.body = DG_TRY(workspaces_.read(from->handle, name, kFileBytesMax));
    // What code wrote is nobody's web page: the console has the same origin.
    response.headers.add("Content-Type", "application/octet-stream");
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Content-Security-Policy", "sandbox; default-src 'none'");
    response.headers.add("Content-Disposition", "attachment");
    return response;
}

}  // namespace app
