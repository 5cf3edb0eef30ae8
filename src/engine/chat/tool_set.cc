#include "engine/chat/tool_set.h"

namespace engine::chat {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

constexpr std::size_t kNameBytesMax = 256;

bool is_name(std::string_view name) {
    if (name.empty() || name.size() > kNameBytesMax) return false;
    for (const char c : name) {
        const bool known = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (!known) return false;
    }
    return true;
}

Result<Tool> read_tool(const json::value& value, const std::string& path) {
    const json::object* object = value.if_object();
    if (object == nullptr) {
        return fail_on(path, Code::invalid_argument, "{} is not an object", path);
    }
    if (const json::value* function = object->if_contains("function")) {
        if (!function->is_object()) {
            return fail_on(path + ".function", Code::invalid_argument,
                           "{}.function is not an object", path);
        }
        object = &function->get_object();
    }
    Tool tool;
    const json::value* name = object->if_contains("name");
    if (name == nullptr || !name->is_string() || !is_name(name->get_string())) {
        return fail_on(path + ".function.name", Code::invalid_argument,
                       "{}.function.name must be 1 to {} of a-z, A-Z, 0-9, '_', '-', '.'", path,
                       kNameBytesMax);
    }
    tool.name = std::string(name->get_string());
    if (const json::value* parameters = object->if_contains("parameters")) {
        if (!parameters->is_object() && !parameters->is_null()) {
            return fail_on(path + ".function.parameters", Code::invalid_argument,
                           "{}.function.parameters is not a JSON Schema object", path);
        }
        tool.parameters = *parameters;
    }
    const json::value* strict = object->if_contains("strict");
    tool.strict = strict != nullptr && strict->is_bool() && strict->get_bool();
    return tool;
}

}  // namespace

Result<std::shared_ptr<const ToolSet>> ToolSet::parse(const json::value& tools) {
    const json::array* list = tools.if_array();
    if (list == nullptr || list->empty()) {
        return fail_on("tools", Code::invalid_argument,
                       "tools is not an array of at least one function");
    }
    auto set = std::make_shared<ToolSet>();
    for (std::size_t i = 0; i < list->size(); ++i) {
        const std::string path = fmt::format("tools[{}]", i);
        Tool tool = DG_TRY(read_tool((*list)[i], path));
        if (!set->by_name_.emplace(tool.name, i).second) {
            return fail_on(path + ".function.name", Code::invalid_argument,
                           "{}.function.name: there is another tool called '{}'", path, tool.name);
        }
        set->tools_.push_back(std::move(tool));
    }
    set->text_ = json::serialize(tools);
    return std::shared_ptr<const ToolSet>(std::move(set));
}

const Tool* ToolSet::find(std::string_view name) const {
    const auto found = by_name_.find(std::string(name));
    return found == by_name_.end() ? nullptr : &tools_[found->second];
}

const json::value* parameter_schema(const Tool& tool, std::string_view name) {
    const json::object* schema = tool.parameters.if_object();
    const json::value* properties = schema ? schema->if_contains("properties") : nullptr;
    if (properties == nullptr || !properties->is_object()) return nullptr;
    return properties->get_object().if_contains(name);
}

bool takes_text_only(const json::value* schema) {
    const json::object* object = schema ? schema->if_object() : nullptr;
    if (object == nullptr) return false;
    const json::value* type = object->if_contains("type");
    if (type != nullptr) return type->is_string() && type->get_string() == "string";
    const json::value* list = object->if_contains("enum");
    if (list == nullptr || !list->is_array()) return false;
    for (const json::value& one : list->get_array()) {
        if (!one.is_string()) return false;
    }
    return true;
}

}  // namespace engine::chat
