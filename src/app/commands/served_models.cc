// dougong models ps, load, unload: the models of a running server, by its admin API.
#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/subcommand.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/http/client.h"
#include "base/json/json.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::string_view kServerDefault = "http://127.0.0.1:8080";

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* found = object.if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

std::uint64_t number_at(const json::object& object, std::string_view key) {
    const json::value* found = object.if_contains(key);
    boost::system::error_code error;
    const auto number = found != nullptr ? found->to_number<std::uint64_t>(error) : 0;
    return error ? 0 : number;
}

/// A model's name as one part of a path.
std::string escaped(std::string_view name) {
    std::string out;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

/// The server's answer, or its own words about what went wrong.
Result<json::object> ask(const Args& args, const std::string& method, const std::string& path) {
    std::string url = args.value("--url").value_or(std::string(kServerDefault));
    while (url.ends_with('/')) url.pop_back();
    base::HttpClient::Options options;
    options.stall_timeout = std::chrono::milliseconds(0);  // loading may take minutes
    const base::HttpClient client(std::move(options));
    base::HttpClient::Request request;
    request.method = method;
    request.url = url + path;
    const auto response = DG_TRY(client.send(request));
    const auto body = base::parse_json(response.body);
    if (!body || !body->is_object()) {
        return base::fail_on("--url", Code::unavailable,
                             "{} answered {} without JSON; is it a Dougong server?", url,
                             response.status);
    }
    if (response.status == 200) return body->get_object();
    const json::value* error = body->get_object().if_contains("error");
    const std::string message =
        error != nullptr && error->is_object() ? text_at(error->get_object(), "message") : "";
    const Code code = response.status == 404   ? Code::not_found
                      : response.status == 409 ? Code::resource_exhausted
                      : response.status < 500  ? Code::failed_precondition
                                               : Code::unavailable;
    return base::fail(code, "{} answered {}: {}", url, response.status,
                      message.empty() ? "no reason given" : message);
}

void print_model(const Terminal& terminal, const json::object& model) {
    const std::string why = text_at(model, "state_text");
    terminal.out(fmt::format("{:<44} {:<9} {:>10} {:>4} running{}{}\n", text_at(model, "id"),
                             text_at(model, "state"),
                             format_bytes(static_cast<double>(number_at(model, "memory_bytes"))),
                             number_at(model, "requests_running"), why.empty() ? "" : "  ", why));
}

Result<int> ps(const Args& args, Program& program) {
    const json::object answer = DG_TRY(ask(args, "GET", "/admin/v1/models"));
    if (args.has("--json")) {
        program.terminal.out(base::to_text(answer) + "\n");
        return 0;
    }
    const json::value* models = answer.if_contains("models");
    if (models == nullptr || !models->is_array()) {
        return base::fail_on("--url", Code::unavailable, "the server's list has no 'models'");
    }
    for (const json::value& model : models->get_array()) {
        if (model.is_object()) print_model(program.terminal, model.get_object());
    }
    return 0;
}

Result<int> change(const Args& args, Program& program, std::string_view verb) {
    const std::string name = args.value("MODEL").value_or("");
    const json::object model =
        DG_TRY(ask(args, "POST", fmt::format("/admin/v1/models/{}/{}", escaped(name), verb)));
    if (args.has("--json")) {
        program.terminal.out(base::to_text(model) + "\n");
    } else {
        print_model(program.terminal, model);
    }
    return 0;
}

Result<int> load(const Args& args, Program& program) {
    return change(args, program, "load");
}
Result<int> unload(const Args& args, Program& program) {
    return change(args, program, "unload");
}

}  // namespace

std::vector<Command> served_models_commands() {
    const OptionSpec url = {"--url", "URL", "The server [default http://127.0.0.1:8080]."};
    const OptionSpec json = {"--json", "", "One JSON object."};
    const PositionalSpec model = {"MODEL", "a name from `dougong models ps`", true};
    const auto command = [&](std::string_view name, std::string_view summary,
                             std::string_view about, std::vector<PositionalSpec> positionals,
                             std::vector<Example> examples,
                             Result<int> (*run)(const Args&, Program&)) {
        return subcommand(name, summary, about, std::move(positionals), {url, json},
                          std::move(examples), run);
    };
    return {command("ps", "Show the models of a running server",
                    "Lists what a running server can answer with: which models are in memory, how "
                    "much they take or would take, and how many requests run in each.",
                    {}, {{"dougong models ps", "The server on this machine."}}, ps),
            command("load", "Have a running server load a model",
                    "Loads a model into a running server now, instead of at its first request. "
                    "Idle models make room when the budget (models.memory_bytes_max) needs it.",
                    {model}, {{"dougong models load mine", "Ready before it is asked for."}}, load),
            command("unload", "Have a running server free a model's memory",
                    "Waits for the model's running requests, then frees its memory. The next "
                    "request that names it loads it again.",
                    {model}, {{"dougong models unload mine", "Free its memory."}}, unload)};
}

}  // namespace app
