//! The pages of the two demonstration sites: where they are, what they say. Pure.
//!
//! What does not belong here: how a page behaves at a time (`script`), sockets (`servers`).

/// Which server a page is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The shop, plain HTTP.
    Shop,
    /// The blog, plain HTTP.
    Blog,
    /// The blog's feed, over TLS.
    Feed,
}

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Fast.
    ShopHome,
    /// Fast, JSON in the shape of django-health-check 3.
    ShopHealth,
    /// Slower; its latency steps after the first deploy, it hangs after the second.
    ShopSearch,
    /// Fails after the first deploy.
    ShopBasket,
    /// Flaky.
    ShopCheckout,
    /// Answers with a redirect to its login.
    ShopAdmin,
    /// Middling.
    BlogHome,
    /// Slow, always within its limit.
    BlogArchive,
    /// Over TLS, with a certificate that soon ends.
    BlogFeed,
}

/// All pages.
pub const ALL: [Page; 9] = [
    Page::ShopHome,
    Page::ShopHealth,
    Page::ShopSearch,
    Page::ShopBasket,
    Page::ShopCheckout,
    Page::ShopAdmin,
    Page::BlogHome,
    Page::BlogArchive,
    Page::BlogFeed,
];

impl Page {
    /// The server it is on.
    pub const fn host(self) -> Host {
        match self {
            Self::BlogHome | Self::BlogArchive => Host::Blog,
            Self::BlogFeed => Host::Feed,
            _ => Host::Shop,
        }
    }

    /// The path, as Django routes it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ShopHome | Self::BlogHome => "/",
            Self::ShopHealth => "/health/",
            Self::ShopSearch => "/search/",
            Self::ShopBasket => "/basket/",
            Self::ShopCheckout => "/checkout/",
            Self::ShopAdmin => "/admin/",
            Self::BlogArchive => "/archive/",
            Self::BlogFeed => "/feed/",
        }
    }

    /// The page at a path; `None` is a 404.
    pub fn find(host: Host, path: &str) -> Option<Self> {
        ALL.into_iter().find(|page| page.host() == host && page.path() == path)
    }

    /// `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::ShopHealth | Self::ShopBasket => "application/json",
            Self::BlogFeed => "application/rss+xml; charset=utf-8",
            _ => "text/html; charset=utf-8",
        }
    }

    /// What it says when all is well.
    pub const fn body(self) -> &'static str {
        match self {
            Self::ShopHome => "<!doctype html><title>Shop</title><h1>Teapots, cups and tea</h1>\n",
            Self::ShopHealth => "{\"Cache backend: default\": \"working\", \"DatabaseBackend\": \"working\", \"MigrationsHealthCheck\": \"working\"}\n",
            Self::ShopSearch => "<!doctype html><title>Search</title><p>12 results for tea</p>\n",
            Self::ShopBasket => "{\"lines\": [{\"sku\": \"teapot-3\", \"count\": 1}], \"currency\": \"EUR\", \"total\": \"34.00\"}\n",
            Self::ShopCheckout => "<!doctype html><title>Checkout</title><p>Where shall it go?</p>\n",
            Self::ShopAdmin => "",
            Self::BlogHome => "<!doctype html><title>Blog</title><h1>On brewing</h1>\n",
            Self::BlogArchive => "<!doctype html><title>Archive</title><ol><li>First flush</ol>\n",
            Self::BlogFeed => {
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\"><channel><title>On brewing</title><item><title>First flush</title></item></channel></rss>\n"
            }
        }
    }

    /// The status when all is well.
    pub const fn status(self) -> u16 {
        match self {
            Self::ShopAdmin => 302,
            _ => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_page_of_its_own_server() {
        for page in ALL {
            assert_eq!(Page::find(page.host(), page.path()), Some(page));
        }
        assert_eq!(Page::find(Host::Blog, "/basket/"), None);
        assert_eq!(Page::find(Host::Shop, "/basket"), None);
    }
}
