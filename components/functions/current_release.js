// Which files a visitor gets: those of the release that the pointer names. CloudFront runs it before its cache, so that
// a new pointer is a new set of cached files, and a release is there for everybody at once or not at all.
import cf from 'cloudfront';

const POINTER = 'current';
const RELEASE = /^[a-z0-9][a-z0-9.-]{0,62}$/;
const PREFIX = '/releases/';
const store = cf.kvs();

async function handler(event) {
    const request = event.request;
    // A page that was loaded before the pointer moved goes on finding its own files, which never change.
    if (request.uri.startsWith(PREFIX)) {
        return request;
    }
    let release = '';
    try {
        release = await store.get(POINTER);
    } catch (error) {
        console.log(`the pointer cannot be read: ${error}`);
    }
    if (!RELEASE.test(release)) {
        return unavailable();
    }
    request.uri = PREFIX + release + file(request.uri);
    return request;
}

// A path whose last part has an ending is a file; every other is a page, and pages are made in the browser.
function file(uri) {
    const last = uri.substring(uri.lastIndexOf('/') + 1);
    return last.includes('.') ? uri : '/index.html';
}

function unavailable() {
    return {
        statusCode: 503,
        statusDescription: 'Service Unavailable',
        headers: {
            'cache-control': { value: 'no-store' },
            'content-type': { value: 'text/plain' },
            'retry-after': { value: '60' },
        },
        body: { encoding: 'text', data: 'No release is published yet.' },
    };
}
