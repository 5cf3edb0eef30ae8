#include "memory/knowledge/parsed.h"

#include <array>
#include <optional>

#include "base/core/utf8.h"
#include "base/json/json.h"

namespace memory::knowledge {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kBlocksMax = 2'000'000;
constexpr std::size_t kWarningsMax = 100;
constexpr std::size_t kNameBytesMax = 4096;

constexpr std::array kCodes = {
    Code::invalid_argument,   Code::failed_precondition, Code::payload_too_large,
    Code::resource_exhausted, Code::deadline_exceeded,   Code::data_loss,
    Code::unimplemented,      Code::unavailable,         Code::internal};

std::unexpected<base::Error> broken(std::string_view what) {
    return fail(Code::data_loss, "the parser's answer does not hold: {}", what);
}

bool is_text(std::string_view text) {
    return base::utf8_valid_prefix_bytes(text) == text.size() &&
           text.find('\0') == std::string_view::npos;
}

std::uint64_t number_at(const json::array& row, std::size_t i) {
    return i < row.size() && row[i].is_number() ? row[i].to_number<std::uint64_t>() : 0;
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

const json::array& list_of(const json::object& object, std::string_view name) {
    static const json::array kNone;
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

/// Boost throws where a number does not fit.
template <class Read>
auto guarded(Read read) -> decltype(read()) {
    try {
        return read();
    } catch (const std::exception& error) {
        return broken(error.what());
    }
}

std::optional<std::pair<std::string_view, std::string_view>> head_and_rest(std::string_view all) {
    const std::size_t end = all.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    return std::pair{all.substr(0, end), all.substr(end + 1)};
}

base::Error error_of(const json::object& object) {
    base::Error error{Code::internal, text_of(object, "message"), text_of(object, "subject")};
    const std::string name = text_of(object, "error");
    for (const Code code : kCodes) {
        if (base::code_name(code) == name) error.code = code;
    }
    return error;
}

}  // namespace

Result<void> check_parsed(const Parsed& parsed, std::uint64_t text_bytes_max) {
    if (parsed.text.size() > text_bytes_max) return broken("its text is longer than asked for");
    if (!is_text(parsed.text) || !is_text(parsed.title)) return broken("its text is not UTF-8");
    std::uint64_t at = 0;
    const auto starts_character = [&](std::uint64_t place) {
        return place == parsed.text.size() ||
               (static_cast<unsigned char>(parsed.text[place]) & 0xC0) != 0x80;
    };
    for (const Block& block : parsed.blocks) {
        if (block.begin < at || block.end <= block.begin || block.end > parsed.text.size()) {
            return broken("blocks overlap or lie outside the text");
        }
        if (!starts_character(block.begin) || !starts_character(block.end)) {
            return broken("a block cuts a character");
        }
        if (block.kind > BlockKind::note) return broken("a block of no kind");
        at = block.end;
    }
    at = 0;
    for (const PageStart& page : parsed.pages) {
        if (page.begin < at || page.begin > parsed.text.size() || !is_text(page.name) ||
            page.name.size() > kNameBytesMax) {
            return broken("pages lie outside the text or are out of order");
        }
        at = page.begin;
    }
    for (const std::string& warning : parsed.warnings) {
        if (!is_text(warning)) return broken("a warning is not UTF-8");
    }
    return {};
}

std::string encode_request(const ParseRequest& request) {
    return base::to_text(json::object{{"media_type", request.media_type},
                                      {"name", request.name},
                                      {"text_bytes_max", request.text_bytes_max},
                                      {"unpacked_bytes_max", request.unpacked_bytes_max},
                                      {"pages_max", request.pages_max}});
}

Result<ParseRequest> decode_request(std::string_view line) {
    return guarded([&]() -> Result<ParseRequest> {
        const json::value value = DG_TRY(base::parse_json(line));
        if (!value.is_object()) return broken("the request is no object");
        const json::object& in = value.get_object();
        return ParseRequest{
            .media_type = text_of(in, "media_type"),
            .name = text_of(in, "name"),
            .text_bytes_max = in.at("text_bytes_max").to_number<std::uint64_t>(),
            .unpacked_bytes_max = in.at("unpacked_bytes_max").to_number<std::uint64_t>(),
            .pages_max = in.at("pages_max").to_number<std::uint32_t>()};
    });
}

std::string encode_answer(const Result<Parsed>& parsed) {
    if (!parsed) {
        const base::Error& error = parsed.error();
        return base::to_text(json::object{{"error", base::code_name(error.code)},
                                          {"message", error.message},
                                          {"subject", error.subject}}) +
               "\n";
    }
    json::array blocks, pages, warnings;
    for (const Block& block : parsed->blocks) {
        blocks.push_back(json::array{static_cast<std::uint64_t>(block.kind), block.level,
                                     block.begin, block.end});
    }
    for (const PageStart& page : parsed->pages) {
        pages.push_back(json::array{page.begin, page.name});
    }
    for (const std::string& warning : parsed->warnings) warnings.push_back(json::string(warning));
    std::string out = base::to_text(json::object{{"title", parsed->title},
                                                 {"media_type", parsed->media_type},
                                                 {"blocks", std::move(blocks)},
                                                 {"pages", std::move(pages)},
                                                 {"warnings", std::move(warnings)}});
    out += '\n';
    out += parsed->text;
    return out;
}

Result<Parsed> decode_answer(std::string_view answer) {
    const auto parts = head_and_rest(answer);
    if (!parts) return broken("it has no head");
    return guarded([&]() -> Result<Parsed> {
        const auto value = base::parse_json(parts->first);
        if (!value || !value->is_object()) return broken("its head is no JSON object");
        const json::object& head = value->get_object();
        if (head.contains("error")) return std::unexpected(error_of(head));
        Parsed parsed;
        parsed.title = text_of(head, "title");
        parsed.media_type = text_of(head, "media_type");
        parsed.text = parts->second;
        for (const json::value& item : list_of(head, "blocks")) {
            const json::array& row = item.as_array();
            parsed.blocks.push_back({static_cast<BlockKind>(number_at(row, 0)),
                                     static_cast<std::uint32_t>(number_at(row, 1)),
                                     number_at(row, 2), number_at(row, 3)});
            if (parsed.blocks.size() > kBlocksMax) return broken("it has too many blocks");
        }
        for (const json::value& item : list_of(head, "pages")) {
            const json::array& row = item.as_array();
            parsed.pages.push_back({number_at(row, 0), std::string(row.at(1).as_string())});
        }
        for (const json::value& item : list_of(head, "warnings")) {
            if (parsed.warnings.size() == kWarningsMax) break;
            parsed.warnings.emplace_back(item.as_string());
        }
        return parsed;
    });
}

}  // namespace memory::knowledge
