#pragma once
// Documents to text with structure, inside the parser's process: what throws or breaks here ends
// that process and nothing else. Every parser is a pure function of the bytes.

#include <string_view>

#include "memory/knowledge/parsed.h"

namespace memory::knowledge::parse {

/// By the media type asked for, else by the bytes and the name. Errors: invalid_argument (nothing
/// in it; another type than it says; damaged), failed_precondition (needs a password; a program
/// that is missing), payload_too_large, unimplemented (a type without a parser).
base::Result<Parsed> parse_document(std::string_view bytes, const ParseRequest& request);

/// "text/html", ... as the bytes and then the name say; "" when nothing fits.
std::string_view sniff(std::string_view bytes, std::string_view name);

// One parser each; parse_document has chosen them.
base::Result<Parsed> parse_plain(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_markdown(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_html(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_pdf(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_docx(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_xlsx(std::string_view bytes, const ParseRequest& request);
base::Result<Parsed> parse_pptx(std::string_view bytes, const ParseRequest& request);
/// By the program tesseract, which must be installed.
base::Result<Parsed> parse_image(std::string_view bytes, const ParseRequest& request);

inline constexpr std::string_view kPlain = "text/plain", kMarkdown = "text/markdown",
                                  kHtml = "text/html", kPdf = "application/pdf";
inline constexpr std::string_view kDocx =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
inline constexpr std::string_view kXlsx =
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
inline constexpr std::string_view kPptx =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";

}  // namespace memory::knowledge::parse
