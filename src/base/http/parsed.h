#pragma once
// Internal to base/http: a request while it is read, with the parser that reads it.

#include <boost/beast/http.hpp>
#include <optional>

#include "base/http/connection.h"

namespace base::http {

struct Connection::Parsed {
    boost::beast::http::request_parser<boost::beast::http::string_body> parser;
    Request request;
    Router::Match match;
    std::optional<std::string> foreign;  ///< why a page may not ask this (site_guard.h)
};

}  // namespace base::http
