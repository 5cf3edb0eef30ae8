#include "memory/knowledge/parse/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "../documents.h"
#include "base/core/rng.h"
#include "memory/knowledge/parser_process.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace test {
namespace {

using base::Code;
using memory::knowledge::BlockKind;
using memory::knowledge::Parsed;
using memory::knowledge::ParseRequest;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kKinds[] = {"heading", "paragraph", "item", "code",
                                       "header",  "row",       "note"};

base::Result<Parsed> parse(std::string_view bytes, std::string_view name,
                           std::string_view type = "") {
    ParseRequest request;
    request.name = name;
    request.media_type = type;
    auto parsed = memory::knowledge::parse::parse_document(bytes, request);
    EXPECT_TRUE(!parsed || check_parsed(*parsed, request.text_bytes_max));
    return parsed;
}

/// "heading1: Title", "paragraph: ...".
std::vector<std::string> blocks(const base::Result<Parsed>& parsed) {
    std::vector<std::string> out;
    if (!parsed) return {parsed.error().message};
    for (const auto& block : parsed->blocks) {
        std::string kind(kKinds[static_cast<std::size_t>(block.kind)]);
        if (block.kind == BlockKind::heading) kind += std::to_string(block.level);
        out.push_back(kind + ": " + parsed->text.substr(block.begin, block.end - block.begin));
    }
    return out;
}

TEST(Parse, MarkdownKeepsHeadingsListsCodeAndTables) {
    const auto parsed = parse(
        "---\ntitle: \"A guide\"\n---\n# Set *up*\nLine one\nline [two](http://x).\n\n- first\n- "
        "second\n  more\n\n```c\nint a;\n\nint b;\n```\n| Key | Value |\n|---|:-:|\n| `a|b` | 2 "
        "|\n\nTitle below\n===\n> quoted &amp; more\n",
        "a.md");
    EXPECT_THAT(blocks(parsed),
                ElementsAre("heading1: Set up", "paragraph: Line one line two.", "item: first",
                            "item: second more", "code: int a;\n\nint b;", "header: Key | Value",
                            "row: a/b | 2", "heading1: Title below", "paragraph: quoted & more"));
    EXPECT_EQ(parsed->title, "A guide");
}

TEST(Parse, HtmlDropsWhatIsAroundThePageAndKeepsItsStructure) {
    const auto parsed = parse(
        "<!DOCTYPE html><title>T &amp; U</title><style>p{}</style><script>if (a<b) x()</script>"
        "<nav>Home <nav>x</nav> About</nav><h2>Prices</h2><p>From&nbsp;1&#8364; <b>to</b> 2<br>a "
        "< b<ul><li>one<li>two</ul><pre>x = 1\n  y</pre><table><tr><th>Part<th>Price<tr><td>Bolt"
        "<td><p>2</p><p>EUR</p></table><p>End",
        "a.html");
    EXPECT_THAT(blocks(parsed),
                ElementsAre("heading2: Prices", "paragraph: From 1€ to 2 a < b", "item: one",
                            "item: two", "code: x = 1\n  y", "header: Part | Price",
                            "row: Bolt | 2 EUR", "paragraph: End"));
    EXPECT_EQ(parsed->title, "T & U");
}

TEST(Parse, ATagThatIsNeverClosedTakesNothingWithIt) {
    EXPECT_THAT(blocks(parse("<html><body><nav><p>kept", "a.html")),
                ElementsAre("paragraph: kept"));
}

TEST(Parse, EncodingsAreTold) {
    EXPECT_THAT(blocks(parse("caf\xE9 au lait", "a.txt")), ElementsAre("paragraph: café au lait"));
    EXPECT_THAT(blocks(parse("\xD6\xD0\xB9\xFA\xB9\xA4\xD2\xB5", "a.txt")),
                ElementsAre("paragraph: 中国工业"));
    EXPECT_THAT(blocks(parse(std::string("\xFF\xFEh\0i\0", 6), "a.txt")),
                ElementsAre("paragraph: hi"));
    EXPECT_THAT(blocks(parse("good text with one b\xFF"
                             "d byte, and \xE4\xB8\xAD\xE6\x96\x87",
                             "a.txt")),
                ElementsAre("paragraph: good text with one b\xEF\xBF\xBD"
                            "d byte, and 中文"));
}

TEST(Parse, PdfHasPagesAndJoinsPartedWords) {
    const auto parsed = parse(
        pdf_of(
            {{"1 Introduction", "The first para-", "graph goes on here."}, {}, {"A third page."}}),
        "a.pdf");
    EXPECT_THAT(blocks(parsed), ElementsAre("heading1: 1 Introduction",
                                            "paragraph: The first paragraph goes on "
                                            "here.",
                                            "paragraph: A third page."));
    ASSERT_EQ(parsed->pages.size(), 3u);
    EXPECT_EQ(parsed->text.substr(parsed->pages[2].begin), "A third page.");
    EXPECT_THAT(parsed->warnings, ElementsAre(HasSubstr("1 of 3 pages have no text")));
}

TEST(Parse, WordDocumentsBringStylesListsTablesAndPages) {
    const auto run = [](std::string_view text) {
        return fmt::format("<w:r><w:t>{}</w:t></w:r>", text);
    };
    const auto parsed = parse(
        docx_of("<w:p><w:pPr><w:pStyle w:val=\"Mine\"/></w:pPr>" + run("Leave") + "</w:p><w:p>" +
                run("Staff get ") + "<w:del>" + run("20") + "</w:del><w:ins>" + run("25 days.") +
                "</w:ins></w:p><w:p><w:pPr><w:numPr/></w:pPr>" + run("ask first") +
                "<w:r><w:lastRenderedPageBreak/></w:r></w:p><w:tbl><w:tr><w:tc><w:p>" +
                run("Grade") + "</w:p></w:tc><w:tc><w:p>" + run("Days") +
                "</w:p></w:tc></w:tr></w:tbl>"),
        "a.docx");
    EXPECT_THAT(blocks(parsed), ElementsAre("heading1: Leave", "paragraph: Staff get 25 days.",
                                            "item: ask first", "header: Grade | Days"));
    EXPECT_EQ(parsed->title, "Rules");
    ASSERT_EQ(parsed->pages.size(), 2u);
    EXPECT_EQ(parsed->text.substr(parsed->pages[1].begin), "Grade | Days");
}

TEST(Parse, WorkbooksBringSheetsRowsNumbersAndDates) {
    const auto parsed = parse(
        xlsx_of(
            "<row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"C2\" t=\"s\"><v>1</v></c></row>"
            "<row r=\"5\"><c r=\"A5\" t=\"inlineStr\"><is><t>Bolt</t></is></c><c r=\"B5\">"
            "<v>0.30000000000000004</v></c><c r=\"C5\" s=\"1\"><v>45292</v></c></row>"),
        "a.xlsx");
    EXPECT_THAT(blocks(parsed),
                ElementsAre("header: Part |  | Unit", "row: Bolt | 0.3 | 2024-01-01"));
    EXPECT_EQ(parsed->blocks[1].level, 5u);
    ASSERT_EQ(parsed->pages.size(), 1u);
    EXPECT_EQ(parsed->pages[0].name, "Prices");
}

TEST(Parse, PresentationsBringSlidesInTheirOrderWithNotes) {
    const auto parsed = parse(pptx_of(), "a.pptx");
    EXPECT_THAT(blocks(parsed), ElementsAre("heading1: First", "heading1: Second", "item: Ship it",
                                            "note: Say thanks"));
    ASSERT_EQ(parsed->pages.size(), 2u);
    EXPECT_EQ(parsed->pages[1].name, "Second");
}

TEST(Parse, TheTypeIsToldFromTheBytesBeforeTheName) {
    EXPECT_EQ(parse(pdf_of({{"x"}}), "a.txt")->media_type, "application/pdf");
    EXPECT_EQ(parse("<html><p>x", "")->media_type, "text/html");
    EXPECT_EQ(parse(pptx_of(), "")->media_type.substr(0, 12), "application/");
    EXPECT_EQ(parse("plain", "a.md")->media_type, "text/markdown");
    EXPECT_EQ(parse("a,b\n1,2", "", "text/csv")->media_type, "text/plain");
}

TEST(Parse, BadDocumentsAreToldApart) {
    EXPECT_EQ(parse(" \n\t", "a.txt").error().code, Code::invalid_argument);
    EXPECT_EQ(parse("%PDF-1.4 cut off", "a.pdf").error().code, Code::invalid_argument);
    EXPECT_EQ(parse("words", "a.txt", "application/pdf").error().code, Code::invalid_argument);
    EXPECT_EQ(parse("just words", "a.pdf").error().subject, "name");
    EXPECT_EQ(parse(std::string("\0\1\2\3\4", 5), "a.bin").error().code, Code::invalid_argument);
    EXPECT_EQ(parse("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 old", "a.doc").error().code,
              Code::failed_precondition);
    EXPECT_EQ(parse(zip_of({{"a", "b"}}), "a.zip").error().code, Code::unimplemented);
    EXPECT_EQ(parse(docx_of("").substr(0, 300), "a.docx").error().code, Code::invalid_argument);
    EXPECT_EQ(parse(docx_of(""), "a.docx").error().code, Code::invalid_argument);
    EXPECT_EQ(parse(docx_of("<w:p>"), "a.docx").error().code, Code::invalid_argument);
}

TEST(Parse, BombsAndDeepXmlAreRefused) {
    EXPECT_EQ(parse(docx_of(std::string(64u << 20, ' ')), "a.docx").error().code,
              Code::payload_too_large);
    std::string deep;
    for (int i = 0; i < 5000; ++i) deep += "<w:sdt>";
    for (int i = 0; i < 5000; ++i) deep += "</w:sdt>";
    EXPECT_EQ(parse(docx_of(deep), "a.docx").error().code, Code::invalid_argument);
    ParseRequest small;
    small.text_bytes_max = 100;
    EXPECT_EQ(memory::knowledge::parse::parse_document(std::string(200, 'x'), small).error().code,
              Code::payload_too_large);
}

TEST(Parse, MutatedDocumentsNeverBreakTheRules) {
    const std::string seeds[] = {
        pdf_of({{"1 Introduction", "some text"}, {"more"}}),
        docx_of("<w:p><w:r><w:t>some text</w:t></w:r></w:p>"),
        xlsx_of("<row r=\"1\"><c r=\"A1\"><v>3</v></c></row>"),
        pptx_of(),
        "# A\n\n- b\n\n| c | d |\n|--|--|\n| e | f |\n```\ng\n```\n[h](i) **j** `k` <br>",
        "<html><h1>a</h1><table><tr><td>b<td>c</table><pre>d</pre><nav>e</nav>&amp;&#x4e2d;<li>f"};
    const std::string_view names[] = {"a.pdf", "a.docx", "a.xlsx", "a.pptx", "a.md", "a.html"};
    for_each_seed(300, [&](base::Rng& rng) {
        const std::size_t which = rng.below(std::size(seeds));
        std::string bytes = seeds[which];
        for (std::uint64_t edit = 1 + rng.below(8); edit != 0 && !bytes.empty(); --edit) {
            const std::size_t at = rng.below(bytes.size());
            switch (rng.below(4)) {
                case 0:
                    bytes[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    bytes.erase(at, rng.below(16));
                    break;
                case 2:
                    bytes.insert(at, bytes.substr(rng.below(bytes.size()), rng.below(40)));
                    break;
                default:
                    bytes.resize(at);
                    break;
            }
        }
        const auto parsed = parse(bytes, names[which]);  // checks what it gives
        const auto again = parse(bytes, names[which]);
        ASSERT_EQ(parsed.has_value(), again.has_value());
        if (parsed) {
            EXPECT_EQ(*parsed, *again);
        }
    });
}

TEST(ParserProcess, GivesWhatTheParserGives) {
    const auto parser = memory::knowledge::make_parser_process();
    for (const auto& [bytes, name] :
         {std::pair<std::string, std::string>{"# Title\n\ntext", "a.md"},
          {pdf_of({{"a page"}, {"another"}}), "b.pdf"},
          {pptx_of(), "c.pptx"}}) {
        ParseRequest request;
        request.name = name;
        const auto parsed = parser->parse(bytes, request);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(*parsed, *parse(bytes, name));
    }
    ParseRequest request;
    const auto refused = parser->parse(" ", request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
}

TEST(ParserProcess, EndsADocumentThatTakesTooLong) {
    const auto parser =
        memory::knowledge::make_parser_process({.time_max = std::chrono::milliseconds(1)});
    const std::string page(20'000, 'x');
    const auto parsed = parser->parse(pdf_of(std::vector(200, std::vector<std::string>{page})), {});
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, Code::deadline_exceeded);
}

TEST(ParserAnswer, DamagedOnesAreRefused) {
    using namespace memory::knowledge;
    const std::string good = encode_answer(parse("# a\n\nb c d", "a.md"));
    ASSERT_TRUE(decode_answer(good));
    for_each_seed(500, [&](base::Rng& rng) {
        std::string bytes = good;
        for (std::uint64_t edit = 1 + rng.below(4); edit != 0; --edit) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        if (const auto parsed = decode_answer(bytes)) {
            static_cast<void>(check_parsed(*parsed, 1000));
        }
    });
    Parsed parsed{.text = "中文", .blocks = {{BlockKind::paragraph, 0, 0, 2}}};
    EXPECT_FALSE(check_parsed(parsed, 100));
    parsed.blocks[0].end = 3;
    EXPECT_TRUE(check_parsed(parsed, 100));
    parsed.blocks.push_back({BlockKind::row, 0, 2, 6});
    EXPECT_FALSE(check_parsed(parsed, 100));
}

}  // namespace
}  // namespace test
