#include "base/document/document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/core/utf8.h"
#include "base/json/json.h"

namespace base {
namespace {

constexpr std::size_t kBytesMax = 1u << 20, kNodesMax = 50'000, kDepthMax = 64;

std::string place(const std::string& file, const YAML::Mark& mark) {
    return mark.is_null() ? file : fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

/// Counts documents and looks at nothing in them.
class DocumentCounter final : public YAML::EventHandler {
public:
    int documents = 0;
    void OnDocumentStart(const YAML::Mark&) override { ++documents; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

/// 0, 1, or 2 for more. yaml-cpp finds documents without end in a text such as ",", so nothing may
/// ask it for all of them.
int count_documents(const std::string& text) {
    std::istringstream in(text);
    YAML::Parser parser(in);
    DocumentCounter counter;
    while (counter.documents < 2 && parser.HandleNextDocument(counter)) {
    }
    return counter.documents;
}

/// Copies yaml-cpp's tree. An alias is the same node a second time, so the budget also bounds what
/// a few lines of them can unfold to.
class Copier {
public:
    explicit Copier(const std::string& file) : file_(file) {}

    Result<Node> copy(const YAML::Node& from, std::size_t depth = 0) {
        const std::string at = place(file_, from.Mark());
        if (depth > kDepthMax || ++nodes_ > kNodesMax) {
            return fail_on(at, Code::invalid_argument, "{}: more than {} values or {} levels", at,
                           kNodesMax, kDepthMax);
        }
        Node node;
        if (!from.Mark().is_null()) {
            node.line = static_cast<std::uint32_t>(from.Mark().line + 1);
            node.column = static_cast<std::uint32_t>(from.Mark().column + 1);
        }
        if (from.IsScalar()) {
            node.kind = Node::Kind::scalar;
            node.text = from.Scalar();
            node.quoted = from.Tag() == "!";
        } else if (from.IsSequence()) {
            node.kind = Node::Kind::list;
            for (const auto& item : from) node.items.push_back(DG_TRY(copy(item, depth + 1)));
        } else if (from.IsMap()) {
            node.kind = Node::Kind::map;
            for (const auto& entry : from)
                DG_TRY(copy_member(entry.first, entry.second, depth, node));
        }
        return node;
    }

private:
    Result<void> copy_member(const YAML::Node& key, const YAML::Node& value, std::size_t depth,
                             Node& out) {
        const std::string at = place(file_, key.Mark());
        if (!key.IsScalar()) {
            return fail_on(at, Code::invalid_argument, "{}: a name is not a word", at);
        }
        // yaml-cpp keeps repeated keys; one of the two would win in silence.
        if (!names_once(out, key.Scalar())) {
            return fail_on(at, Code::invalid_argument, "{}: {} is there twice", at, key.Scalar());
        }
        Node member = DG_TRY(copy(value, depth + 1));
        if (!key.Mark().is_null()) {
            member.name_line = static_cast<std::uint32_t>(key.Mark().line + 1);
            member.name_column = static_cast<std::uint32_t>(key.Mark().column + 1);
        }
        out.members.emplace_back(key.Scalar(), std::move(member));
        return {};
    }
    static bool names_once(const Node& map, const std::string& name) { return !map.find(name); }

    const std::string& file_;
    std::size_t nodes_ = 0;
};

}  // namespace

const Node* Node::find(std::string_view name) const {
    const auto found =
        std::ranges::find(members, name, [](const auto& m) -> std::string_view { return m.first; });
    return found == members.end() ? nullptr : &found->second;
}

std::string place(const std::string& file, const Node& node) {
    return fmt::format("{}:{}:{}", file, node.line, node.column);
}

Result<Node> parse_document(std::string_view text, const std::string& file) {
    if (text.size() > kBytesMax) {
        return fail_on(file, Code::invalid_argument, "{} has {} bytes, at most {} are read", file,
                       text.size(), kBytesMax);
    }
    if (const std::size_t valid = utf8_valid_prefix_bytes(text); valid != text.size()) {
        return fail_on(file, Code::invalid_argument, "{}: byte {} is not UTF-8", file, valid);
    }
    if (file.ends_with(".json")) {
        if (auto json = parse_json(text, {.depth_max = kDepthMax}); !json) {
            return std::unexpected(std::move(json).error().with_context(file));
        }
    }
    try {
        const std::string whole(text);
        const int documents = count_documents(whole);
        if (documents == 0) return Node{};
        if (documents > 1) {
            return fail_on(file, Code::invalid_argument,
                           "{} holds more than one document, expected one", file);
        }
        return Copier(file).copy(YAML::Load(whole));
    } catch (const YAML::Exception& error) {
        const std::string at = place(file, error.mark);
        return fail_on(at, Code::invalid_argument, "{}: not YAML: {}", at, error.msg);
    } catch (const std::exception& error) {
        return fail_on(file, Code::invalid_argument, "{}: not YAML: {}", file, error.what());
    }
}

std::optional<double> number_of(const Node& node) {
    if (node.kind != Node::Kind::scalar || node.quoted || node.text.empty()) return std::nullopt;
    const char last = node.text.back(), first = node.text.front();
    if (!((first >= '0' && first <= '9') || first == '-') || last < '0' || last > '9') {
        return std::nullopt;  // inf, nan, .5, 1. and hexadecimal are not JSON
    }
    const std::string_view digits = std::string_view(node.text).substr(first == '-' ? 1 : 0);
    if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
        return std::nullopt;  // nor are leading zeros: 007 is a name
    }
    double value = 0;
    const char* const end = node.text.data() + node.text.size();
    const auto [rest, error] = std::from_chars(node.text.data(), end, value);
    if (error != std::errc() || rest != end || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<bool> flag_of(const Node& node) {
    if (node.kind != Node::Kind::scalar || node.quoted) return std::nullopt;
    if (node.text == "true") return true;
    if (node.text == "false") return false;
    return std::nullopt;
}

json::value to_json(const Node& node) {
    switch (node.kind) {
        case Node::Kind::null:
            return nullptr;
        case Node::Kind::list: {
            json::array out;
            out.reserve(node.items.size());
            for (const Node& item : node.items) out.push_back(to_json(item));
            return out;
        }
        case Node::Kind::map: {
            json::object out;
            out.reserve(node.members.size());
            for (const auto& [name, member] : node.members) out[name] = to_json(member);
            return out;
        }
        case Node::Kind::scalar:
            break;
    }
    if (const auto flag = flag_of(node)) return *flag;
    const auto number = number_of(node);
    if (!number) return json::value(node.text);
    std::int64_t whole = 0;
    const char* const end = node.text.data() + node.text.size();
    const auto [rest, error] = std::from_chars(node.text.data(), end, whole);
    if (error == std::errc() && rest == end) return whole;
    return *number;
}

}  // namespace base
