#include "base/api/operations.h"

#include <algorithm>

#include "base/json/schema_of.h"

namespace base::api {
namespace {

json::object content(std::string_view type, json::value schema) {
    return {{type, json::object{{"schema", std::move(schema)}}}};
}

json::array parameters_of(const Operation& operation, std::span<const std::string_view> numbers) {
    json::array parameters;
    const auto add = [&](std::string_view place, std::string_view name) {
        const bool number = std::ranges::find(numbers, name) != numbers.end();
        parameters.push_back(
            json::object{{"name", name},
                         {"in", place},
                         {"required", place == "path"},
                         {"schema", json::object{{"type", number ? "integer" : "string"}}}});
    };
    for (std::string_view rest = operation.path; rest.find('{') != rest.npos;) {
        rest.remove_prefix(rest.find('{') + 1);
        add("path", rest.substr(0, rest.find('}')));
    }
    for (const std::string_view name : operation.query) add("query", name);
    return parameters;
}

json::object to_json(const Operation& operation, std::span<const std::string_view> numbers) {
    json::object answers = content("application/json", json::object{{"type", "object"}});
    if (operation.streams) answers["text/event-stream"] = json::object{{"schema", json::object{}}};
    json::object error =
        content("application/json", json::object{{"$ref", "#/components/schemas/Error"}});
    json::object out{
        {"summary", operation.summary},
        {"responses",
         json::object{
             {operation.makes ? "201" : "200",
              json::object{{"description", operation.answer}, {"content", std::move(answers)}}},
             {"default", json::object{{"description", "What went wrong and what to do."},
                                      {"content", std::move(error)}}}}}};
    if (json::array parameters = parameters_of(operation, numbers); !parameters.empty()) {
        out["parameters"] = std::move(parameters);
    }
    if (operation.body != nullptr) {
        json::value schema = schema_of(operation.body());
        schema.as_object()["additionalProperties"] = false;
        json::object body = content("application/json", std::move(schema));
        body["application/json"].as_object()["example"] = operation.body();
        out["requestBody"] = json::object{{"content", std::move(body)}};
    }
    return out;
}

}  // namespace

json::object paths_of(std::span<const Operation> operations,
                      std::span<const std::string_view> numbers) {
    json::object paths;
    for (const Operation& operation : operations) {
        json::value& path = paths[operation.path];
        if (!path.is_object()) path = json::object{};
        path.get_object()[operation.method] = to_json(operation, numbers);
    }
    return paths;
}

}  // namespace base::api
