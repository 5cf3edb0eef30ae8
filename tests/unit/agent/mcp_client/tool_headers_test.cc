#include "agent/mcp/client/tool_headers.h"

#include <gtest/gtest.h>

#include "agent/mcp/header_check.h"
#include "support/seeds.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;

json::object parsed(std::string_view text) {
    return base::parse_json(text)->as_object();
}

mcp::HeaderList headers(std::string_view schema, std::string_view arguments) {
    const auto read = mcp::ToolHeaders::read(parsed(schema));
    return read ? read->of(parsed(arguments)) : mcp::HeaderList{{"refused", ""}};
}

TEST(ToolHeaders, SayMarkedArgumentsAndNoOthers) {
    constexpr std::string_view kSchema = R"({"properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "query": {"type": "string"},
        "deep": {"type": "object", "properties": {
            "in": {"type": "string", "x-mcp-header": "In"}}}}})";
    EXPECT_EQ(headers(kSchema, R"({"region": "eu", "count": -7, "dry": false, "query": "q",
                                   "deep": {"in": "x"}})"),
              (mcp::HeaderList{{"Mcp-Param-Region", "eu"},
                               {"Mcp-Param-Count", "-7"},
                               {"Mcp-Param-Dry", "false"},
                               {"Mcp-Param-In", "x"}}));
    EXPECT_EQ(headers(kSchema, R"({"region": null, "deep": 1})"), mcp::HeaderList());
}

TEST(ToolHeaders, WhatNoHeaderCanSayIsSealed) {
    EXPECT_EQ(mcp::header_text("us west 1"), "us west 1");
    EXPECT_EQ(mcp::header_text(""), "");
    EXPECT_EQ(mcp::header_text(" padded "), "=?base64?IHBhZGRlZCA=?=");
    EXPECT_EQ(mcp::header_text("line1\nline2"), "=?base64?bGluZTEKbGluZTI=?=");
    EXPECT_EQ(mcp::header_text("=?base64?literal?="), "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
}

TEST(ToolHeaders, MarksThatAreNotAllowedRefuseTheTool) {
    for (const char* property :
         {R"({"type": "string", "x-mcp-header": ""})", R"({"type": "string", "x-mcp-header": 1})",
          R"({"type": "string", "x-mcp-header": "My Region"})",
          R"({"type": "string", "x-mcp-header": "R\r\nX: 1"})",
          R"({"type": "number", "x-mcp-header": "N"})",
          R"({"type": "object", "x-mcp-header": "O"})", R"({"x-mcp-header": "Untyped"})",
          R"({"type": "array", "items": {"type": "string", "x-mcp-header": "I"}})",
          R"({"anyOf": [{"type": "string", "x-mcp-header": "A"}]})"}) {
        const auto read =
            mcp::ToolHeaders::read({{"properties", {{"p", *base::parse_json(property)}}}});
        ASSERT_FALSE(read) << property;
        EXPECT_EQ(read.error().code, base::Code::invalid_argument);
    }
    EXPECT_FALSE(mcp::ToolHeaders::read(parsed(R"({"properties": {
        "a": {"type": "string", "x-mcp-header": "Same"},
        "b": {"type": "string", "x-mcp-header": "sAME"}}})")));
    // A property may be called what a mark is called.
    EXPECT_TRUE(
        mcp::ToolHeaders::read(parsed(R"({"properties": {"x-mcp-header": {"type": "string"}}})")));
}

TEST(ToolHeaders, WhatWeSayOurServerReadsTheSame) {
    const json::object schema =
        parsed(R"({"properties": {"p": {"type": "string", "x-mcp-header": "P"}}})");
    const auto tool = mcp::ToolHeaders::read(schema);
    ASSERT_TRUE(tool);
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::string value = "v";
        for (std::uint64_t i = rng.below(12); i > 0; --i) {
            constexpr std::string_view kSigns = " \t\r\na=?~\x7f";
            value += kSigns[rng.below(kSigns.size())];
        }
        mcp::Message request;
        request.method = "tools/call";
        request.params = {{"name", value}, {"arguments", {{"p", value}}}};
        base::http::Headers said;
        for (const auto& [name, text] : mcp::standard_headers("tools/call", request.params)) {
            said.add(name, text);
        }
        for (const auto& [name, text] : tool->of({{"p", value}})) said.add(name, text);
        EXPECT_FALSE(mcp::check_parameter_headers(said, request, schema)) << value;
        EXPECT_FALSE(mcp::check_standard_headers(said, request)) << value;
    });
}

}  // namespace
