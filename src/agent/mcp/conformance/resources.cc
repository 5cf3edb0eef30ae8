#include <fmt/format.h>

#include "agent/mcp/conformance/fixture.h"
#include "agent/mcp/conformance/media.h"

namespace agent::mcp::conformance {
namespace {

constexpr std::string_view kTemplateBegin = "test://template/", kTemplateEnd = "/data";

json::object resource(std::string_view uri, std::string_view name, std::string_view description,
                      std::string_view type) {
    return {{"uri", uri}, {"name", name}, {"description", description}, {"mimeType", type}};
}

json::object contents(std::string_view uri, std::string_view type, std::string_view field,
                      std::string_view value) {
    return {
        {"contents", json::array{json::object{{"uri", uri}, {"mimeType", type}, {field, value}}}}};
}

}  // namespace

std::vector<json::object> FixtureResources::list(const Caller&) const {
    return {
        resource("test://static-text", "static-text", "A text", "text/plain"),
        resource("test://static-binary", "static-binary", "A picture", "image/png"),
        resource("test://watched-resource", "watched-resource", "To subscribe to", "text/plain")};
}

std::vector<json::object> FixtureResources::templates(const Caller&) const {
    return {{{"uriTemplate", "test://template/{id}/data"},
             {"name", "template"},
             {"description", "One for each id"},
             {"mimeType", "application/json"}}};
}

base::Result<Outcome> FixtureResources::read(std::string_view uri, Exchange&) {
    if (uri == "test://static-text") {
        return contents(uri, "text/plain", "text",
                        "This is the content of the static text resource.");
    }
    if (uri == "test://static-binary") return contents(uri, "image/png", "blob", kPng);
    if (uri == "test://watched-resource") return contents(uri, "text/plain", "text", "watched");
    if (uri.starts_with(kTemplateBegin) && uri.ends_with(kTemplateEnd) &&
        uri.size() > kTemplateBegin.size() + kTemplateEnd.size()) {
        const std::string id(uri.substr(kTemplateBegin.size(),
                                        uri.size() - kTemplateBegin.size() - kTemplateEnd.size()));
        const json::object data{
            {"id", id}, {"templateTest", true}, {"data", fmt::format("Data for ID: {}", id)}};
        return contents(uri, "application/json", "text", json::serialize(data));
    }
    return base::fail(base::Code::not_found, "Resource not found");
}

}  // namespace agent::mcp::conformance
