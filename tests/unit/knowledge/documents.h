#pragma once
// Small documents of every kind, made here: no file of anybody else's.

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace test {

/// A ZIP of those files, in order of their names.
inline std::string zip_of(const std::map<std::string, std::string>& files) {
    std::string out(1u << 20, '\0');
    for (const auto& [name, content] : files) out.resize(out.size() + content.size() + 4096);
    std::size_t used = 0;
    archive* zip = ::archive_write_new();
    ::archive_write_set_format_zip(zip);
    ::archive_write_open_memory(zip, out.data(), out.size(), &used);
    for (const auto& [name, content] : files) {
        archive_entry* entry = ::archive_entry_new();
        ::archive_entry_set_pathname(entry, name.c_str());
        ::archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        ::archive_entry_set_filetype(entry, 0100000);
        ::archive_entry_set_perm(entry, 0644);
        ::archive_write_header(zip, entry);
        ::archive_write_data(zip, content.data(), content.size());
        ::archive_entry_free(entry);
    }
    ::archive_write_close(zip);
    ::archive_write_free(zip);
    out.resize(used);
    return out;
}

inline std::string docx_of(std::string_view body) {
    return zip_of(
        {{"[Content_Types].xml", "<Types/>"},
         {"docProps/core.xml",
          "<cp:coreProperties xmlns:dc=\"d\"><dc:title>Rules</dc:title>"
          "</cp:coreProperties>"},
         {"word/styles.xml",
          "<w:styles><w:style w:styleId=\"H1\"><w:name w:val=\"heading 1\"/></w:style>"
          "<w:style w:styleId=\"Mine\"><w:name w:val=\"mine\"/><w:basedOn w:val=\"H1\"/></w:style>"
          "</w:styles>"},
         {"word/document.xml", fmt::format("<w:document><w:body>{}</w:body></w:document>", body)}});
}

inline std::string xlsx_of(std::string_view rows) {
    return zip_of(
        {{"xl/workbook.xml",
          "<workbook xmlns:r=\"r\"><sheets><sheet name=\"Prices\" sheetId=\"1\" r:id=\"rId1\"/>"
          "</sheets></workbook>"},
         {"xl/_rels/workbook.xml.rels",
          "<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.xml\"/>"
          "</Relationships>"},
         {"xl/styles.xml",
          "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"},
         {"xl/sharedStrings.xml",
          "<sst><si><t>Part</t></si><si><r><t>Un</t></r><r><t>it</t></r></si></sst>"},
         {"xl/worksheets/sheet1.xml",
          fmt::format("<worksheet><sheetData>{}</sheetData></worksheet>", rows)}});
}

inline std::string pptx_of() {
    const auto shape = [](std::string_view place, std::string_view text) {
        return fmt::format(
            "<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{}\"/></p:nvPr></p:nvSpPr>"
            "<p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody></p:sp>",
            place, text);
    };
    const auto slide = [](const std::string& shapes) {
        return "<p:sld><p:cSld><p:spTree>" + shapes + "</p:spTree></p:cSld></p:sld>";
    };
    return zip_of(
        {{"ppt/presentation.xml",
          "<p:presentation xmlns:r=\"r\"><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId2\"/><p:sldId "
          "id=\"257\" r:id=\"rId1\"/></p:sldIdLst></p:presentation>"},
         {"ppt/_rels/presentation.xml.rels",
          "<Relationships><Relationship Id=\"rId1\" Target=\"slides/slide1.xml\"/>"
          "<Relationship Id=\"rId2\" Target=\"slides/slide2.xml\"/></Relationships>"},
         {"ppt/slides/slide1.xml", slide(shape("body", "Ship it") + shape("title", "Second"))},
         {"ppt/slides/slide2.xml", slide(shape("title", "First") + shape("sldNum", "1"))},
         {"ppt/slides/_rels/slide1.xml.rels",
          "<Relationships><Relationship Id=\"rId9\" Target=\"../notesSlides/notes1.xml\"/>"
          "</Relationships>"},
         {"ppt/notesSlides/notes1.xml", "<p:notes><p:cSld><p:spTree>" +
                                            shape("body", "Say thanks") +
                                            "</p:spTree></p:cSld></p:notes>"}});
}

/// A PDF of one line of text a line, in Helvetica, with right offsets.
inline std::string pdf_of(const std::vector<std::vector<std::string>>& pages,
                          std::string_view extra = "") {
    std::vector<std::string> objects;
    std::string kids;
    for (std::size_t i = 0; i < pages.size(); ++i) kids += fmt::format("{} 0 R ", 4 + 2 * i);
    objects.push_back(fmt::format("<< /Type /Catalog /Pages 2 0 R {} >>", extra));
    objects.push_back(fmt::format("<< /Type /Pages /Kids [{}] /Count {} >>", kids, pages.size()));
    objects.emplace_back("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    for (std::size_t i = 0; i < pages.size(); ++i) {
        std::string draw = "BT /F1 12 Tf 72 720 Td 14 TL ";
        for (const std::string& line : pages[i]) draw += fmt::format("({}) Tj T* ", line);
        draw += "ET";
        objects.push_back(
            fmt::format("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
                        "/Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
                        5 + 2 * i));
        objects.push_back(
            fmt::format("<< /Length {} >>\nstream\n{}\nendstream", draw.size(), draw));
    }
    std::string out = "%PDF-1.4\n";
    std::vector<std::size_t> offsets;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        offsets.push_back(out.size());
        out += fmt::format("{} 0 obj\n{}\nendobj\n", i + 1, objects[i]);
    }
    const std::size_t table = out.size();
    out += fmt::format("xref\n0 {}\n0000000000 65535 f \n", objects.size() + 1);
    for (const std::size_t offset : offsets) out += fmt::format("{:010} 00000 n \n", offset);
    out += fmt::format("trailer << /Size {} /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n",
                       objects.size() + 1, table);
    return out;
}

}  // namespace test
