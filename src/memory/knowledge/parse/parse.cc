#include "memory/knowledge/parse/parse.h"

#include <algorithm>
#include <array>

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

using Parser = Result<Parsed> (*)(std::string_view, const ParseRequest&);

struct Type {
    std::string_view media_type;
    std::string_view extensions;  ///< ".a.b."
    Parser parser;
};

constexpr auto kTypes = std::to_array<Type>({
    {kPlain, ".txt.text.log.csv.tsv.rst.adoc.org.json.yaml.yml.xml.ini.toml.tex.", parse_plain},
    {kMarkdown, ".md.markdown.mdx.mkd.", parse_markdown},
    {kHtml, ".html.htm.xhtml.", parse_html},
    {kPdf, ".pdf.", parse_pdf},
    {kDocx, ".docx.", parse_docx},
    {kXlsx, ".xlsx.", parse_xlsx},
    {kPptx, ".pptx.", parse_pptx},
    {"image/png", ".png.", parse_image},
    {"image/jpeg", ".jpg.jpeg.", parse_image},
    {"image/tiff", ".tif.tiff.", parse_image},
    {"image/gif", ".gif.", parse_image},
    {"image/bmp", ".bmp.", parse_image},
    {"image/webp", ".webp.", parse_image},
});

struct Magic {
    std::string_view bytes, media_type;
};
using namespace std::string_view_literals;
constexpr auto kMagic = std::to_array<Magic>({
    {"%PDF-"sv, kPdf},
    {"\x89PNG\r\n\x1a\n"sv, "image/png"},
    {"\xFF\xD8\xFF"sv, "image/jpeg"},
    {"II*\0"sv, "image/tiff"},
    {"MM\0*"sv, "image/tiff"},
    {"GIF8"sv, "image/gif"},
    {"BM"sv, "image/bmp"},
});

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return out;
}

std::string_view by_name(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return "";
    std::string extension = lower(name.substr(dot));
    extension += '.';
    for (const Type& type : kTypes) {
        if (type.extensions.find(extension) != std::string_view::npos) return type.media_type;
    }
    return "";
}

std::string_view by_magic(std::string_view bytes) {
    for (const Magic& magic : kMagic) {
        // Any text may begin with BM.
        if (bytes.starts_with(magic.bytes) &&
            (magic.bytes.size() > 2 || bytes.substr(0, 64).find('\0') != std::string_view::npos)) {
            return magic.media_type;
        }
    }
    if (bytes.starts_with("RIFF") && bytes.substr(8).starts_with("WEBP")) return "image/webp";
    // Viewers take a header anywhere in the first kilobyte.
    if (bytes.substr(0, 1024).find("%PDF-") != std::string_view::npos) return kPdf;
    if (!bytes.starts_with("PK\x03\x04")) return "";
    // Names stand in the clear, in the files' heads and in the directory at the end.
    if (bytes.find("word/document.xml") != std::string_view::npos) return kDocx;
    if (bytes.find("xl/workbook.xml") != std::string_view::npos) return kXlsx;
    if (bytes.find("ppt/presentation.xml") != std::string_view::npos) return kPptx;
    return "application/zip";
}

bool looks_like_html(std::string_view bytes) {
    const std::string head = lower(bytes.substr(0, 1024));
    const std::size_t first = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    if (first == std::string::npos) return false;
    const std::string_view from = std::string_view(head).substr(first);
    return from.starts_with("<!doctype html") || from.starts_with("<html") ||
           from.starts_with("<head") || from.starts_with("<body") ||
           (from.starts_with("<") && head.find("<html") != std::string::npos);
}

bool is_text_type(std::string_view type) {
    return type == kPlain || type == kMarkdown || type == kHtml;
}

/// "Text/HTML; charset=utf-8" -> "text/html", and other names of the same types.
std::string plain_type(std::string_view media_type) {
    std::string type = lower(media_type.substr(0, media_type.find(';')));
    while (type.ends_with(' ')) type.pop_back();
    if (type == "application/xhtml+xml") return std::string(kHtml);
    if (type == "text/x-markdown") return std::string(kMarkdown);
    if (type == "image/jpg") return std::string("image/jpeg");
    if (type == "application/octet-stream" || type == "application/x-www-form-urlencoded") {
        type.clear();
    }
    return type;
}

}  // namespace

std::string_view sniff(std::string_view bytes, std::string_view name) {
    if (const std::string_view found = by_magic(bytes); !found.empty()) return found;
    if (bytes.starts_with("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")) return "application/x-ole-storage";
    const std::string_view named = by_name(name);
    if (is_text_type(named)) return named;
    if (looks_like_html(bytes)) return kHtml;
    return kPlain;
}

Result<Parsed> parse_document(std::string_view bytes, const ParseRequest& request) {
    if (bytes.find_first_not_of(" \t\r\n\f\v\0"sv) == std::string_view::npos) {
        return fail(Code::invalid_argument, "the document is empty");
    }
    const std::string_view seen = sniff(bytes, request.name);
    const std::string asked = plain_type(request.media_type);
    std::string_view type = asked.empty() ? seen : std::string_view(asked);
    if (seen == "application/x-ole-storage") {
        return fail(Code::failed_precondition,
                    "this is an Office file that is encrypted or of the old binary format; save it "
                    "as .docx, .xlsx or .pptx without a password");
    }
    if (type != seen && !(is_text_type(type) && is_text_type(seen)) &&
        !(type.starts_with("text/") && is_text_type(seen))) {
        return fail_on("media_type", Code::invalid_argument,
                       "the document is said to be {}, but its bytes are {}", type,
                       is_text_type(seen) ? "none of that" : seen);
    }
    const std::string_view named = by_name(request.name);
    if (asked.empty() && !named.empty() && !is_text_type(named) && is_text_type(seen)) {
        return fail_on("name", Code::invalid_argument,
                       "{} is named as {}, but its bytes are none of that", request.name, named);
    }
    // Any other kind of text is read as text.
    if (type.starts_with("text/") && !is_text_type(type)) type = kPlain;
    for (const Type& known : kTypes) {
        if (known.media_type == type) return known.parser(bytes, request);
    }
    return fail_on("media_type", Code::unimplemented,
                   "there is no parser for {}; it reads text, Markdown, HTML, PDF, DOCX, XLSX, "
                   "PPTX and images",
                   type);
}

}  // namespace memory::knowledge::parse
